use anyhow::{Result, anyhow, ensure};
use dp_sims_model::known::KnownWeights;

use super::super::User;
use super::reporter::Reporter;
use crate::weights::{Check, KnownNetwork, Outcome, Patience, WeightsFolder, known_weights};

/// Downloads a known file or the files of a network, or checks those that are there.
pub fn run(name: &str, from: Option<&str>, folder: &WeightsFolder) -> Result<()> {
    for known in resolve(name, from).user()? {
        fetch(known, from, folder)?;
    }
    Ok(())
}

fn fetch(known: &KnownWeights, from: Option<&str>, folder: &WeightsFolder) -> Result<()> {
    let path = folder.path().join(known.file());
    tracing::info!("{}: {}, {}", known.id, known.note, known.licence);
    let mut reporter = Reporter::new();
    let outcome = folder.fetch(known, from, Patience::default(), &mut |progress| {
        reporter.show(progress);
    });
    reporter.finish();
    let outcome = outcome.user_unless(|error| !error.is_mistake())?;
    let (what, sha256, check) = match outcome {
        Outcome::Present { sha256, check } => ("is there already", sha256, check),
        Outcome::Fetched(fetched) => ("is complete", fetched.sha256, fetched.check),
    };
    println!("{} {what}", path.display());
    println!("sha256 {sha256}");
    println!("{}", explained(check));
    Ok(())
}

/// The known file of this name, or the files that the network of this name needs. `from` is the
/// address of a single one.
fn resolve(name: &str, from: Option<&str>) -> Result<Vec<&'static KnownWeights>> {
    if let Some((_, known)) = known_weights(name) {
        return Ok(vec![known]);
    }
    let needed = KnownNetwork::named(name).map_or(vec![], KnownNetwork::needed);
    if needed.is_empty() {
        let networks: Vec<_> = KnownNetwork::all()
            .filter(|network| !network.needed().is_empty())
            .map(KnownNetwork::name)
            .collect();
        return Err(anyhow!(
            "no weight file of `{name}` is published; networks that have one: {}. `dp-sims weights \
             list` shows every file",
            networks.join(", ")
        ));
    }
    let ids: Vec<_> = needed.iter().map(|known| known.id).collect();
    ensure!(
        from.is_none() || needed.len() == 1,
        "--from is the address of one file and `{name}` has {}: fetch them one by one, as {}",
        needed.len(),
        ids.join(" and ")
    );
    Ok(needed)
}

fn explained(check: Check) -> &'static str {
    match check {
        Check::Sha256 => "checked: the whole SHA-256 is the known one",
        Check::Prefix => {
            "checked: the SHA-256 begins with the eight digits that the publisher put into the \
             file name"
        }
        Check::Announced => "checked: the SHA-256 is the one that the server announced",
        Check::Unverified => {
            "not verified: no SHA-256 is published or announced for this file; compare the one \
             above with a source that you trust"
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ids(name: &str) -> Vec<&'static str> {
        let needed = resolve(name, None).unwrap();
        needed.iter().map(|known| known.id).collect()
    }

    #[test]
    fn names_are_files_or_networks() {
        assert_eq!(ids("vgg19"), ["vgg19.tv_in1k"]);
        let best = "convnext_large.fb_in22k_ft_in1k_384";
        assert_eq!(ids("convnext_large"), [best]);
        assert_eq!(ids(best), [best]);
        assert_eq!(ids("convnext-large"), [best]);
        assert_eq!(ids("convnext-large.fb-in22k-ft-in1k-384"), [best]);
        assert_eq!(ids("fid_inception"), ["pt_inception-2015-12-05-6726825d"]);
        assert_eq!(ids("lpips_vgg"), ["vgg16.tv_in1k"]);
        assert_eq!(
            ids("upernet_resnet101_ade20k"),
            ["encoder_epoch_50", "decoder_epoch_50"]
        );
        assert_eq!(ids("decoder_epoch_50"), ["decoder_epoch_50"]);
        for unknown in ["convnext_pico_scenes", "vgg", ""] {
            let error = resolve(unknown, None).unwrap_err().to_string();
            let parts = ["convnext_large, ", "fid_inception, ", "mask2former_coco. "];
            for part in parts {
                assert!(error.contains(part), "{part} is missing in {error}");
            }
            assert!(!error.contains("convnext_pico_scenes,"), "{error}");
        }
    }

    #[test]
    fn an_address_is_of_one_file() {
        let from = Some("file:///a.pth");
        assert_eq!(resolve("lpips_alexnet", from).unwrap().len(), 1);
        assert_eq!(resolve("encoder_epoch_50", from).unwrap().len(), 1);
        let error = resolve("upernet_resnet101_ade20k", from).unwrap_err();
        let text = error.to_string();
        assert!(
            text.contains("encoder_epoch_50 and decoder_epoch_50"),
            "{text}"
        );
    }
}
