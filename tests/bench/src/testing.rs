//! The smallest of everything.

use dp_sims::bench::{BACKBONE, Machine, Settings};
use dp_sims_backends::BackendKind;
use dp_sims_datasets::Size;

pub fn tiny() -> Settings {
    Settings {
        size: Size::square(32),
        batch: 1,
        base_width: 1,
        backbone: BACKBONE,
        repeats: 3,
        profile: false,
    }
}

pub fn some_machine() -> Machine {
    Machine {
        backend: BackendKind::Flex,
        device: 0,
        device_name: "processor".to_string(),
        threads: 2,
    }
}
