macro_rules! built_in {
    ($($name:literal,)*) => {
        &[$(($name, include_str!(concat!("../../../experiments/studies/", $name, ".toml")))),*]
    };
}

/// Studies that are part of the program: names and texts.
pub(super) const BUILT_IN: &[(&str, &str)] = built_in![
    "table1",
    "table2",
    "table3",
    "table4",
    "table5-convnext-l",
    "table5-efficientnet-lite1",
    "table6",
    "table7",
    "table8",
    "table9",
    "table3-scenes",
    "table4-scenes",
    "table5-scenes",
    "table6-scenes",
    "table7-scenes",
    "table8-scenes",
    "table9-scenes",
    "table3-camvid",
    "table5-camvid",
    "table6-camvid",
    "recipe-scenes",
];

/// Names of the studies that are part of the program.
pub fn study_names() -> impl Iterator<Item = &'static str> {
    BUILT_IN.iter().map(|(name, _)| *name)
}
