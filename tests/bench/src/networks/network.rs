use std::fmt;
use std::str::FromStr;

use anyhow::{Result, ensure};
use dp_sims::bench::{GENERATOR_CLASSES, Macs, Settings, fit_decoder};
use dp_sims_model::backbones::{BackboneInfo, BackboneKind, info};
use dp_sims_model::cost::{self, Convention};
use dp_sims_model::discriminator::{DiscriminatorArchitecture, DiscriminatorConfig};
use dp_sims_model::generator::GeneratorConfig;
use dp_sims_model::naming::same_name;

/// A network that `networks` times by itself, for 151 classes where it has any.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TimedNetwork {
    /// The paper's generator.
    DpSimsGenerator,
    /// DP-GAN's.
    DpGanGenerator,
    /// That of OASIS.
    OasisGenerator,
    /// The trained part of the paper's discriminator, given features of a backbone.
    DpSimsDiscriminator,
    /// The discriminator of OASIS.
    OasisDiscriminator,
    /// A frozen backbone.
    Backbone(BackboneKind),
}

/// An item of `--networks`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Choice {
    /// Every network.
    All,
    /// One of them.
    One(TimedNetwork),
}

/// What a network is built from.
pub(super) enum Plan {
    /// A generator.
    Generator(GeneratorConfig),
    /// The trained part of a discriminator, and the backbone it stands on.
    Discriminator(DiscriminatorConfig, BackboneInfo),
    /// A frozen backbone.
    Backbone(BackboneKind),
}

/// The networks that are trained.
const TRAINED: [TimedNetwork; 5] = [
    TimedNetwork::DpSimsGenerator,
    TimedNetwork::DpGanGenerator,
    TimedNetwork::OasisGenerator,
    TimedNetwork::DpSimsDiscriminator,
    TimedNetwork::OasisDiscriminator,
];

impl TimedNetwork {
    /// What is timed where nothing is chosen: at 256x256, batch 1 and width 64 about two minutes on
    /// two cores.
    pub const DEFAULT: [Self; 8] = [
        Self::DpSimsGenerator,
        Self::DpSimsDiscriminator,
        Self::Backbone(BackboneKind::ConvnextPicoScenes),
        Self::Backbone(BackboneKind::ConvnextTiny),
        Self::Backbone(BackboneKind::EfficientnetLite1),
        Self::Backbone(BackboneKind::Resnet50),
        Self::Backbone(BackboneKind::SwinTinyWindow7),
        Self::Backbone(BackboneKind::Vgg16),
    ];

    /// Every network.
    pub fn all() -> impl Iterator<Item = Self> {
        let backbones = BackboneKind::all().map(Self::Backbone);
        TRAINED.into_iter().chain(backbones)
    }

    /// The chosen networks, each once; without a choice, [`Self::DEFAULT`]. Of networks that were
    /// not chosen by name, `backbone` leaves no other backbone than itself.
    pub fn chosen(choices: &[Choice], backbone: Option<BackboneKind>) -> Vec<Self> {
        let one = |choice: &Choice| match choice {
            Choice::All => None,
            Choice::One(subject) => Some(*subject),
        };
        let named: Option<Vec<Self>> = choices.iter().map(one).collect();
        let mut chosen = Vec::new();
        let mut add = |subject| {
            if !chosen.contains(&subject) {
                chosen.push(subject);
            }
        };
        match named {
            Some(named) if !named.is_empty() => named.into_iter().for_each(add),
            groups => {
                let group: Vec<_> = match groups {
                    Some(_) => Self::DEFAULT.to_vec(),
                    None => Self::all().collect(),
                };
                let kept = group
                    .into_iter()
                    .filter(|subject| backbone.is_none() || !matches!(subject, Self::Backbone(_)));
                kept.chain(backbone.map(Self::Backbone)).for_each(&mut add);
            }
        }
        chosen
    }

    /// Name, as `--networks` has it.
    pub fn name(self) -> &'static str {
        match self {
            Self::DpSimsGenerator => "dp-sims-generator",
            Self::DpGanGenerator => "dp-gan-generator",
            Self::OasisGenerator => "oasis-generator",
            Self::DpSimsDiscriminator => "dp-sims-discriminator",
            Self::OasisDiscriminator => "oasis-discriminator",
            Self::Backbone(kind) => kind.name(),
        }
    }

    /// What it is built from.
    pub(super) fn plan(self, settings: &Settings) -> Plan {
        let generator = |config| {
            let base_width = settings.base_width;
            Plan::Generator(GeneratorConfig {
                base_width,
                ..config
            })
        };
        let discriminator = |architecture| {
            let mut config = DiscriminatorConfig {
                architecture,
                ..DiscriminatorConfig::default()
            };
            let entry = info(settings.backbone);
            fit_decoder(&mut config, &entry.strides);
            Plan::Discriminator(config, entry)
        };
        match self {
            Self::DpSimsGenerator => generator(GeneratorConfig::default()),
            Self::DpGanGenerator => generator(GeneratorConfig::dp_gan()),
            Self::OasisGenerator => generator(GeneratorConfig::oasis()),
            Self::DpSimsDiscriminator => discriminator(DiscriminatorArchitecture::DpSims),
            Self::OasisDiscriminator => discriminator(DiscriminatorArchitecture::Oasis),
            Self::Backbone(kind) => Plan::Backbone(kind),
        }
    }

    /// How many times the multiply-adds of a forward pass one pass forward and back executes: a
    /// gradient with respect to the input, and in trained networks one with respect to the weights.
    pub(super) fn passes(self) -> u64 {
        match self {
            Self::Backbone(_) => 2,
            _ => 3,
        }
    }

    /// Multiply-adds of a forward pass of the whole batch, and parameters.
    pub(super) fn cost(self, settings: &Settings) -> (Macs, u64) {
        let size @ [height, width] = [settings.size.height, settings.size.width];
        let plan = self.plan(settings);
        let count = |counting| match &plan {
            Plan::Generator(config) => {
                cost::generator(config, GENERATOR_CLASSES, size, counting).total()
            }
            Plan::Discriminator(config, entry) => {
                let (channels, strides) = (&entry.channels, &entry.strides);
                let classes = GENERATOR_CLASSES;
                cost::discriminator(config, channels, strides, classes, size, counting).total()
            }
            Plan::Backbone(kind) => cost::backbone(*kind, height, width),
        };
        let (nominal, executed) = (count(Convention::Published), count(Convention::Executed));
        let batch = settings.batch as u64;
        let macs = Macs {
            nominal: nominal.macs * batch,
            executed: executed.macs * batch,
        };
        (macs, executed.parameters)
    }

    /// Checks that the network takes images of this size.
    ///
    /// # Errors
    /// Names the size that it takes.
    pub fn check(self, settings: &Settings) -> Result<()> {
        settings.check()?;
        let size = settings.size;
        if let Plan::Discriminator(config, entry) = self.plan(settings) {
            let multiple = config.side_multiple(&entry.strides);
            ensure!(
                size.height.is_multiple_of(multiple) && size.width.is_multiple_of(multiple),
                "--size {}x{}: {} takes multiples of {multiple} pixels; give such a size, or \
                 leave it out with --networks",
                size.height,
                size.width,
                self.name()
            );
        }
        Ok(())
    }
}

impl fmt::Display for TimedNetwork {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl FromStr for Choice {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        if text == "all" {
            return Ok(Self::All);
        }
        let subject = TimedNetwork::all().find(|subject| same_name(subject.name(), text));
        subject.map(Self::One).ok_or_else(|| {
            let names: Vec<_> = TimedNetwork::all().map(TimedNetwork::name).collect();
            format!(
                "no network has this name; give all, or one or more of {}",
                names.join(", ")
            )
        })
    }
}

#[cfg(test)]
mod tests {
    use dp_sims_datasets::Size;

    use super::*;
    use crate::testing::tiny;

    #[test]
    fn every_network_is_found_by_its_name() {
        for subject in TimedNetwork::all() {
            let name = subject.name();
            for written in [name.replace('-', "_"), name.replace('_', "-")] {
                assert_eq!(written.parse(), Ok(Choice::One(subject)), "{written}");
            }
            assert_eq!(name.parse(), Ok(Choice::One(subject)));
        }
        assert_eq!("all".parse(), Ok(Choice::All));
        let error = "vgg".parse::<Choice>().unwrap_err();
        assert!(error.contains("oasis-generator, "), "{error}");
    }

    #[test]
    fn a_backbone_stands_for_all_that_were_not_named() {
        let swin = Some(BackboneKind::SwinBaseWindow12);
        let (vgg, all) = (
            Choice::One(TimedNetwork::Backbone(BackboneKind::Vgg16)),
            Choice::All,
        );
        assert_eq!(TimedNetwork::chosen(&[], None), TimedNetwork::DEFAULT);
        assert_eq!(TimedNetwork::chosen(&[all], None).len(), 5 + 16);
        let names = |choices: &[Choice], backbone| -> Vec<_> {
            let chosen = TimedNetwork::chosen(choices, backbone);
            chosen.into_iter().map(TimedNetwork::name).collect()
        };
        assert_eq!(
            names(&[], swin),
            [
                "dp-sims-generator",
                "dp-sims-discriminator",
                "swin_base_window12"
            ]
        );
        assert_eq!(names(&[all, vgg], swin).len(), 5 + 1);
        assert_eq!(names(&[vgg, vgg], swin), ["vgg16"]);
    }

    #[test]
    fn a_size_that_a_network_does_not_take_is_refused() {
        let settings = Settings {
            size: Size::square(96),
            ..tiny()
        };
        TimedNetwork::DpSimsDiscriminator.check(&settings).unwrap();
        let error = TimedNetwork::OasisDiscriminator
            .check(&settings)
            .unwrap_err();
        assert!(error.to_string().contains("multiples of 64"), "{error}");
    }

    #[test]
    fn costs_grow_with_the_batch() {
        let two = Settings { batch: 2, ..tiny() };
        for subject in TimedNetwork::all() {
            let ((one, parameters), (pair, same)) = (subject.cost(&tiny()), subject.cost(&two));
            assert!(one.executed > 0 && parameters == same, "{subject}");
            assert_eq!(2 * one.nominal, pair.nominal, "{subject}");
        }
    }
}
