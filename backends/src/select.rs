use burn::tensor::backend::AutodiffBackend;
use serde::Serialize;

use crate::{BackendChoice, BackendError, BackendKind};

/// One device of one backend.
#[derive(Clone, Debug, Serialize)]
pub struct DeviceInfo {
    /// Backend that drives the device.
    pub backend: BackendKind,
    /// Value of `--device` that names it.
    pub index: usize,
    /// What the driver calls it.
    pub name: String,
    /// Name and version of the driver, where there is one.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub driver: String,
    /// Whether it is a processor rather than a GPU. A software Vulkan driver is one.
    pub is_cpu: bool,
}

/// Work that is generic over the backend, to be run on one chosen by name.
pub trait Task {
    /// What the work returns.
    type Output;

    /// Runs the work on a device of backend `B`.
    fn run<B: AutodiffBackend>(self, device: &B::Device) -> Self::Output;

    /// Runs the work on several devices of backend `B`, at least one. Work that has no use for more takes the
    /// first.
    fn run_on<B: AutodiffBackend>(self, devices: &[B::Device]) -> Self::Output
    where
        Self: Sized,
    {
        self.run::<B>(&devices[0])
    }
}

/// A backend that is compiled in, with a device that exists.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Selected {
    /// The backend.
    pub kind: BackendKind,
    /// Number of the device among those of the backend.
    pub device: usize,
}

/// Every device that a compiled-in backend finds, in the order in which `auto` prefers backends.
///
/// Opens the GPU drivers (a fraction of a second) but compiles no kernel.
pub fn available() -> Vec<DeviceInfo> {
    BackendKind::all()
        .flat_map(|kind| devices(kind).unwrap_or_default())
        .collect()
}

/// Turns `--backend` and `--device` into a backend that can run.
///
/// `auto` takes the first of cuda, wgpu, flex, ndarray that is compiled in and has a device; a
/// software Vulkan driver does not count for wgpu, because flex is faster on the same processor.
///
/// # Errors
/// When the backend is not compiled in (the error names the feature to add) or has no such device.
pub fn select(choice: BackendChoice, device: usize) -> Result<Selected, BackendError> {
    let kind = match choice {
        BackendChoice::Named(kind) => kind,
        BackendChoice::Auto => BackendKind::all()
            .find(|&kind| {
                let host = matches!(kind, BackendKind::Flex | BackendKind::Ndarray);
                devices(kind).is_ok_and(|found| found.iter().any(|d| host || !d.is_cpu))
            })
            .ok_or(BackendError::Nothing)?,
    };
    let found = devices(kind)?.len();
    if device >= found {
        return Err(BackendError::NoSuchDevice {
            kind,
            index: device,
            found,
        });
    }
    Ok(Selected { kind, device })
}

impl Selected {
    /// Runs a task on this backend.
    pub fn run<T: Task>(self, task: T) -> T::Output {
        self.run_on(&[], task)
    }

    /// Runs a task on this device and `others` of the same backend, by their numbers.
    pub fn run_on<T: Task>(self, others: &[usize], task: T) -> T::Output {
        let mut numbers = vec![self.device];
        numbers.extend(others);
        match self.kind {
            #[cfg(feature = "flex")]
            BackendKind::Flex => {
                task.run_on::<crate::FlexAutodiff>(&vec![Default::default(); numbers.len()])
            }
            #[cfg(feature = "ndarray")]
            BackendKind::Ndarray => {
                let devices = vec![burn_ndarray::NdArrayDevice::Cpu; numbers.len()];
                task.run_on::<crate::NdArrayAutodiff>(&devices)
            }
            #[cfg(feature = "wgpu")]
            BackendKind::Wgpu => {
                let found = gpu::wgpu_devices();
                let device = |number: &usize| {
                    let found = found.get(*number);
                    found.map_or(burn_wgpu::WgpuDevice::DefaultDevice, |(device, _)| {
                        device.clone()
                    })
                };
                let devices: Vec<_> = numbers.iter().map(device).collect();
                task.run_on::<crate::WgpuAutodiff>(&devices)
            }
            #[cfg(feature = "cuda")]
            BackendKind::Cuda => {
                let devices = numbers.into_iter().map(burn_cuda::CudaDevice::new);
                task.run_on::<crate::CudaAutodiff>(&devices.collect::<Vec<_>>())
            }
            #[allow(unreachable_patterns, reason = "reachable unless every feature is on")]
            kind => unreachable!("`select` hands out compiled-in backends only, not {kind}"),
        }
    }
}

fn devices(kind: BackendKind) -> Result<Vec<DeviceInfo>, BackendError> {
    if !kind.is_compiled_in() {
        return Err(BackendError::NotCompiledIn { kind });
    }
    match kind {
        BackendKind::Flex | BackendKind::Ndarray => Ok(vec![DeviceInfo {
            backend: kind,
            index: 0,
            name: "processor".to_string(),
            driver: String::new(),
            is_cpu: true,
        }]),
        #[cfg(feature = "wgpu")]
        BackendKind::Wgpu => {
            let found = gpu::wgpu_devices();
            if found.is_empty() {
                let reason = "no Vulkan, Metal or DirectX 12 adapter".to_string();
                return Err(BackendError::NoDevice { kind, reason });
            }
            Ok(found.into_iter().map(|(_, info)| info).collect())
        }
        #[cfg(feature = "cuda")]
        BackendKind::Cuda => gpu::cuda_devices(),
        #[allow(unreachable_patterns, reason = "reachable unless every feature is on")]
        _ => Ok(Vec::new()),
    }
}

#[cfg(any(feature = "wgpu", feature = "cuda"))]
mod gpu {
    use super::{BackendKind, DeviceInfo};

    /// The adapters of the graphics interface that burn-wgpu uses on this system, numbered the way
    /// it numbers them: per kind of device.
    #[cfg(feature = "wgpu")]
    pub(super) fn wgpu_devices() -> Vec<(burn_wgpu::WgpuDevice, DeviceInfo)> {
        use burn_wgpu::WgpuDevice;
        let backends = if cfg!(target_os = "macos") {
            wgpu::Backends::METAL
        } else {
            wgpu::Backends::VULKAN
        };
        let instance = wgpu::Instance::new(wgpu::InstanceDescriptor {
            backends,
            ..wgpu::InstanceDescriptor::new_without_display_handle()
        });
        let adapters = pollster::block_on(instance.enumerate_adapters(backends));
        let mut counts = [0usize; 3];
        let mut numbered = |kind: usize| {
            counts[kind] += 1;
            counts[kind] - 1
        };
        let mut devices: Vec<(u8, WgpuDevice, [String; 2], bool)> = adapters
            .iter()
            .map(|adapter| {
                let info = adapter.get_info();
                let (rank, device) = match info.device_type {
                    wgpu::DeviceType::DiscreteGpu => (0, WgpuDevice::DiscreteGpu(numbered(0))),
                    wgpu::DeviceType::IntegratedGpu => (1, WgpuDevice::IntegratedGpu(numbered(1))),
                    wgpu::DeviceType::VirtualGpu => (2, WgpuDevice::VirtualGpu(numbered(2))),
                    wgpu::DeviceType::Other => (3, WgpuDevice::DefaultDevice),
                    wgpu::DeviceType::Cpu => (4, WgpuDevice::Cpu),
                };
                let driver = format!("{} {}", info.driver, info.driver_info);
                (rank, device, [info.name, driver], rank == 4)
            })
            .collect();
        devices.sort_by_key(|(rank, ..)| *rank);
        devices
            .into_iter()
            .enumerate()
            .map(|(index, (_, device, [name, driver], is_cpu))| {
                (
                    device,
                    DeviceInfo {
                        backend: BackendKind::Wgpu,
                        index,
                        name,
                        driver,
                        is_cpu,
                    },
                )
            })
            .collect()
    }

    /// The GPUs that the CUDA driver lists. The driver library is looked for first: loading
    /// functions from a library that is not there would end the program.
    #[cfg(feature = "cuda")]
    pub(super) fn cuda_devices() -> Result<Vec<DeviceInfo>, crate::BackendError> {
        use cudarc::driver::{CudaContext, result, sys};
        let kind = BackendKind::Cuda;
        let missing = |reason: String| crate::BackendError::NoDevice { kind, reason };
        // SAFETY: the function only tries to open the driver's shared library.
        if !unsafe { sys::is_culib_present() } {
            return Err(missing(
                "the NVIDIA driver (libcuda) is not installed".to_string(),
            ));
        }
        let count = CudaContext::device_count().map_err(|error| missing(error.to_string()))?;
        if count == 0 {
            return Err(missing("the NVIDIA driver lists no GPU".to_string()));
        }
        let mut version = 0;
        // SAFETY: the driver is there, and writes one number to the pointer it is given.
        let outcome = unsafe { sys::cuDriverGetVersion(&mut version) };
        let driver = match outcome.result() {
            Ok(()) => format!("CUDA {version}"),
            Err(_) => String::new(),
        };
        Ok((0..count)
            .map(|index| DeviceInfo {
                backend: kind,
                index: index as usize,
                name: result::device::get(index)
                    .and_then(result::device::get_name)
                    .unwrap_or_else(|_| "CUDA device".to_string()),
                driver: driver.clone(),
                is_cpu: false,
            })
            .collect())
    }
}

#[cfg(test)]
mod tests {
    use burn::tensor::Tensor;

    use super::*;

    struct Sum;

    impl Task for Sum {
        type Output = f32;

        fn run<B: AutodiffBackend>(self, device: &B::Device) -> f32 {
            Tensor::<B, 1>::from_floats([1.0, 2.0, 3.5], device)
                .sum()
                .into_scalar()
                .elem()
        }
    }

    use burn::tensor::ElementConversion;

    #[test]
    fn every_compiled_in_cpu_backend_runs_a_task() {
        for kind in [BackendKind::Flex, BackendKind::Ndarray] {
            match select(BackendChoice::Named(kind), 0) {
                Ok(selected) => assert_eq!(selected.run(Sum), 6.5),
                Err(error) => assert_eq!(error, BackendError::NotCompiledIn { kind }),
            }
        }
    }

    #[test]
    fn a_device_beyond_the_last_is_an_error() {
        for device in available() {
            let choice = BackendChoice::Named(device.backend);
            assert!(matches!(
                select(choice, 99),
                Err(BackendError::NoSuchDevice { .. })
            ));
        }
    }

    #[cfg(not(feature = "cuda"))]
    #[test]
    fn a_backend_that_is_not_compiled_in_names_its_feature() {
        let error = select(BackendChoice::Named(BackendKind::Cuda), 0).unwrap_err();
        assert_eq!(
            error,
            BackendError::NotCompiledIn {
                kind: BackendKind::Cuda
            }
        );
    }
}
