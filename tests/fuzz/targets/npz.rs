#![no_main]

dp_sims_fuzz::target!(dp_sims_fuzz::statistics::npz);
