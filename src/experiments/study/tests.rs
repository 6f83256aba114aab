use super::*;

#[test]
fn the_rows_of_every_built_in_study_are_valid_experiments() {
    for name in study_names() {
        let study = Study::load(name).unwrap_or_else(|error| panic!("{name}: {error:#}"));
        assert_eq!(study.name, name);
        assert!(!study.title.is_empty(), "{name}");
        let rows = study.resolve(&Overrides::default()).unwrap();
        assert_eq!(rows.len(), study.rows.len());
        for row in &rows {
            assert_eq!(row.experiment.name, row.name);
        }
        // Two rows of a study are never the same experiment by mistake.
        for (index, a) in rows.iter().enumerate() {
            for b in &rows[index + 1..] {
                let mut other = b.experiment.clone();
                other.name.clone_from(&a.experiment.name);
                assert_ne!(a.experiment, other, "{name}: {} and {}", a.name, b.name);
            }
        }
    }
}

#[test]
fn studies_of_the_scenes_have_the_rows_of_their_table() {
    for table in [3, 5, 6, 7, 8, 9] {
        let study = Study::load(&format!("table{table}-scenes")).unwrap();
        assert_eq!((study.table, study.seeds.len()), (Some(table), 3));
        let rows = study.resolve(&Overrides::default()).unwrap();
        assert!(rows.iter().filter(|row| row.paper.is_some()).count() > 1);
        assert!(
            rows.iter()
                .all(|row| row.experiment.data.dataset == "scenes")
        );
    }
}

#[test]
fn settings_come_on_top_of_each_other() {
    let text = "name = \"s\"\nbase = \"quickstart\"\nsettings = [\"run.steps=7\", \"run.batch=2\"]\n\
                [[rows]]\nname = \"a\"\n\
                [[rows]]\nname = \"b\"\nbase = \"camvid\"\nsettings = [\"run.batch=3\"]\n";
    let study = Study::parse(text, "place").unwrap();
    assert_eq!(study.seeds, [1]);
    let rows = study.resolve(&Overrides::default()).unwrap();
    let numbers = |rows: &[Row]| -> Vec<_> {
        let runs = rows.iter().map(|row| &row.experiment.run);
        runs.map(|run| (run.steps, run.batch)).collect()
    };
    assert_eq!(numbers(&rows), [(7, 2), (7, 3)]);
    assert_eq!(rows[1].experiment.data.dataset, "camvid");
    assert!(rows[1].experiment.about.is_empty());
    let overrides = Overrides {
        settings: vec!["run.batch=5".to_string()],
        steps: Some(9),
        roots: Roots::parse(&["camvid=/camvid".to_string()]).unwrap(),
    };
    let rows = study.resolve(&overrides).unwrap();
    assert_eq!(numbers(&rows), [(9, 5), (9, 5)]);
    assert_eq!(rows[0].experiment.data.root, None);
    assert_eq!(rows[1].experiment.data.root, Some("/camvid".into()));
}

#[test]
fn an_experiment_is_a_study_of_one_row() {
    let study = Study::load("table5-wo-sigmoid-efficientnet-lite1").unwrap();
    let rows = study.resolve(&Overrides::default()).unwrap();
    let paper = rows[0].paper.as_ref().unwrap();
    assert_eq!(paper.values["fid"], 24.9);
    assert_eq!(study.seeds, [42]);
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("own.toml");
    std::fs::write(&path, "extends = \"quickstart\"\n[run]\nseed = 5\n").unwrap();
    let study = Study::load(path.to_str().unwrap()).unwrap();
    assert_eq!(
        (study.name.as_str(), study.seeds.as_slice()),
        ("own", &[5][..])
    );
}

#[test]
fn a_base_is_found_beside_the_study() {
    let folder = tempfile::tempdir().unwrap();
    let write = |name: &str, text: &str| std::fs::write(folder.path().join(name), text).unwrap();
    write("mine.toml", "extends = \"quickstart\"\n[run]\nsteps = 3\n");
    write(
        "study.toml",
        "name = \"s\"\nbase = \"mine.toml\"\n[[rows]]\nname = \"a\"\n",
    );
    let study = Study::load(folder.path().join("study.toml").to_str().unwrap()).unwrap();
    // The copy in the folder of its runs is read from elsewhere.
    let copy = Study::parse(&toml::to_string(&study).unwrap(), "elsewhere/study.toml").unwrap();
    assert_eq!(copy, study);
    let rows = copy.resolve(&Overrides::default()).unwrap();
    assert_eq!(rows[0].experiment.run.steps, 3);
}

#[test]
fn a_backbone_of_the_paper_is_named_with_dashes_or_underscores() {
    for written in ["efficientnet_lite1", "efficientnet-lite1"] {
        let text = format!(
            "name = \"s\"\nbase = \"quickstart\"\ntable = 5\n[[rows]]\nname = \"a\"\n\
             paper = {{ row = \"w/o sigmoid\", dataset = \"ade20k\", backbone = \"{written}\" }}\n"
        );
        let study = Study::parse(&text, "mine.toml").unwrap();
        let rows = study.resolve(&Overrides::default()).unwrap();
        assert_eq!(rows[0].paper.as_ref().unwrap().values["fid"], 24.9);
    }
}

#[test]
fn mistakes_name_the_key() {
    let problem = |head: &str, row: &str| {
        let text =
            format!("name = \"s\"\nbase = \"quickstart\"\n{head}\n[[rows]]\nname = \"a\"\n{row}\n");
        format!("{:#}", Study::parse(&text, "mine.toml").unwrap_err())
    };
    for (head, row, parts) in [
        ("colour = 1", "", ["mine.toml", "colour"]),
        ("", "colour = 1", ["mine.toml", "colour"]),
        ("seeds = []", "", ["`seeds`", "no seed"]),
        ("seeds = [1, 1]", "", ["`seeds`", "twice"]),
        ("limit = 0", "", ["`limit`", "at least 1"]),
        ("metrics = [\"beauty\"]", "", ["`metrics`", "beauty"]),
        ("protocol = \"none\"", "", ["`protocol`", "none"]),
        ("settings = [\"run.batch\"]", "", ["row `a`", "run.batch"]),
        ("", "settings = [\"run.batches=2\"]", ["row `a`", "batches"]),
        ("", "settings = [\"run.batch=0\"]", ["row `a`", "run.batch"]),
        ("", "base = \"nowhere\"", ["row `a`", "nowhere"]),
        ("", "seconds = -1.0", ["row `a`", "`seconds`"]),
        ("", "paper = { row = \"x\" }", ["`paper`", "no row"]),
        (
            "table = 5",
            "paper = { row = \"DP-SIMS\", dataset = \"ade20k\" }",
            ["2 rows", "`backbone`"],
        ),
        ("", "[[rows]]\nname = \"a\"", ["two rows", "`a`"]),
        ("", "[[rows]]\nname = \"../a\"", ["`rows.name`", "../a"]),
        ("", "[[rows]]\nname = \"\"", ["`rows.name`", "letters"]),
    ] {
        let message = problem(head, row);
        for part in parts {
            assert!(message.contains(part), "{part} is missing in {message}");
        }
    }
    let text = "name = \"s\"\n[[rows]]\nname = \"a\"\n";
    let message = format!("{:#}", Study::parse(text, "p").unwrap_err());
    assert!(message.contains("`base`"), "{message}");
    let message = Study::load("no-such").unwrap_err().to_string();
    assert!(
        message.contains("table5-scenes") && message.contains("quickstart"),
        "{message}"
    );
}
