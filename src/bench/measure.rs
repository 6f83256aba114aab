use std::collections::BTreeMap;
use std::time::Instant;

use anyhow::Result;
use burn::tensor::backend::Backend;
use serde::{Deserialize, Serialize};

use super::parts::{Part, take_apart};
use super::settings::Settings;
use super::speed::{ProbeSizes, Speeds};
use crate::runtime::progress::progress_bar;

/// Repetitions before the clock runs: kernels are tuned and memory is taken then.
pub const WARM_UP: usize = 2;

/// Calls and time of an operation within one repetition.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Operation {
    /// Name, as burn's backend traits call it; what lies between operations is `other`.
    pub name: String,
    /// Shapes of its operands, where operations are told apart by them.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub shapes: String,
    /// Calls; none of `other`.
    pub calls: u64,
    /// Multiply-adds of convolutions, products and attention.
    #[serde(default)]
    pub macs: u64,
    /// Time by the clock.
    pub seconds: f64,
}

/// What one repetition asks of a GPU.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Launches {
    /// Kernels.
    pub kernels: u64,
    /// Transfers to the device, those of kernels' arguments aside.
    pub uploads: u64,
    /// Their bytes.
    pub uploaded_bytes: u64,
    /// Transfers from the device.
    pub downloads: u64,
    /// Kernels by name, the most frequent first.
    pub by_name: Vec<(String, u64)>,
}

/// Multiply-adds of some work, by both ways of counting.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Macs {
    /// As published figures count: dense ([`Convention::Published`]).
    ///
    /// [`Convention::Published`]: dp_sims_model::cost::Convention::Published
    pub nominal: u64,
    /// What the program executes ([`Convention::Executed`]).
    ///
    /// [`Convention::Executed`]: dp_sims_model::cost::Convention::Executed
    pub executed: u64,
}

/// Times of a benchmark, and what they are compared with.
#[derive(Clone, Debug, PartialEq)]
pub struct Measured {
    /// Seconds of each repetition, in the order in which they ran.
    pub seconds: Vec<f64>,
    /// Multiply-adds of one repetition.
    pub macs: Macs,
    /// Speeds of the device: the better ones of those before and those after.
    pub speeds: Speeds,
    /// Trained and frozen parameters by network, without buffers.
    pub parameters: BTreeMap<String, u64>,
    /// Largest resident memory of the process in bytes, where the system tells.
    pub peak_memory_bytes: Option<u64>,
    /// Time by part of one more repetition.
    pub parts: Vec<Part>,
    /// The operations of one more repetition, the longest first, where they were asked for.
    pub operations: Vec<Operation>,
    /// The same by shapes as well, those operations whose shapes are known.
    pub shaped: Vec<Operation>,
    /// What one more repetition asked of a GPU, where it was asked for.
    pub launches: Option<Launches>,
}

/// What is measured, and how.
pub(super) struct Plan<'a> {
    pub settings: &'a Settings,
    /// Sizes of the products that the speed is compared with.
    pub sizes: ProbeSizes,
    /// Target of the events that say where parts end.
    pub parts: &'static str,
}

/// Times repetitions of `work`, and then takes one apart.
///
/// # Errors
/// When the work or the device fails.
pub(super) fn measure<B: Backend>(
    plan: &Plan,
    macs: Macs,
    parameters: BTreeMap<String, u64>,
    device: &B::Device,
    mut work: impl FnMut() -> Result<()>,
) -> Result<Measured> {
    let settings = plan.settings;
    let before = Speeds::measure::<B>(plan.sizes, device)?;
    let bar = progress_bar("timing", (WARM_UP + settings.repeats) as u64);
    let mut seconds = Vec::with_capacity(settings.repeats);
    for repeat in 0..WARM_UP + settings.repeats {
        let started = Instant::now();
        work()?;
        if repeat >= WARM_UP {
            seconds.push(started.elapsed().as_secs_f64());
        }
        bar.inc(1);
    }
    bar.finish_and_clear();
    let peak_memory_bytes = crate::runtime::memory::peak();
    let parts = take_apart::<B>(device, plan.parts, &mut work)?;
    let mut launches = None;
    let mut operations = Profile::default();
    if settings.profile {
        launches = count_launches(&mut work)?;
        if launches.is_none() {
            operations = profile(&mut work)?;
        }
    }
    let (operations, shaped) = operations;
    Ok(Measured {
        seconds,
        macs,
        speeds: before.best(Speeds::measure::<B>(plan.sizes, device)?),
        parameters,
        peak_memory_bytes,
        parts,
        operations,
        shaped,
        launches,
    })
}

/// Counts what one repetition asks of a GPU, if launches are written down.
#[cfg(any(feature = "wgpu", feature = "cuda"))]
fn count_launches(work: impl FnOnce() -> Result<()>) -> Result<Option<Launches>> {
    use dp_sims_backends::gpu::traffic::taken;

    let Some(before) = taken()? else {
        return Ok(None);
    };
    work()?;
    let taken = taken()?.unwrap_or_default().since(&before);
    let mut by_name: Vec<_> = taken.launches.into_iter().collect();
    by_name.sort_by_key(|(_, count)| std::cmp::Reverse(*count));
    Ok(Some(Launches {
        kernels: by_name.iter().map(|(_, count)| count).sum(),
        uploads: taken.uploads,
        uploaded_bytes: taken.uploaded_bytes,
        downloads: taken.downloads,
        by_name,
    }))
}

#[cfg(not(any(feature = "wgpu", feature = "cuda")))]
fn count_launches(_: impl FnOnce() -> Result<()>) -> Result<Option<Launches>> {
    Ok(None)
}

/// The operations of one repetition: all by name, and those with shapes by them too.
type Profile = (Vec<Operation>, Vec<Operation>);

#[cfg(feature = "flex")]
fn profile(mut work: impl FnMut() -> Result<()>) -> Result<Profile> {
    use dp_sims_backends::cpu::profile;

    let started = Instant::now();
    profile::start();
    let outcome = work();
    let times = profile::stop();
    let all = started.elapsed().as_secs_f64();
    outcome?;
    let inside: f64 = times.iter().map(|time| time.seconds).sum();
    let named = |name: &str| Operation {
        name: name.to_string(),
        shapes: String::new(),
        calls: 0,
        macs: 0,
        seconds: 0.0,
    };
    let mut by_name = BTreeMap::new();
    let mut shaped = Vec::new();
    for time in times {
        let operation = by_name.entry(time.name).or_insert_with(|| named(time.name));
        operation.calls += time.calls;
        operation.macs += time.macs;
        operation.seconds += time.seconds;
        if !time.shapes.is_empty() {
            shaped.push(Operation {
                name: time.name.to_string(),
                shapes: time.shapes,
                calls: time.calls,
                macs: time.macs,
                seconds: time.seconds,
            });
        }
    }
    let mut operations: Vec<_> = by_name.into_values().collect();
    operations.push(Operation {
        seconds: all - inside,
        ..named("other")
    });
    operations.sort_by(|a, b| b.seconds.total_cmp(&a.seconds));
    Ok((operations, shaped))
}

#[cfg(not(feature = "flex"))]
fn profile(_: impl FnMut() -> Result<()>) -> Result<Profile> {
    anyhow::bail!("--profile needs the backend flex, which this program was built without")
}
