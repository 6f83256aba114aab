//! TensorBoard event files.

mod proto;
mod record;

use std::collections::BTreeMap;
use std::fmt::Display;
use std::fs;
use std::path::Path;
use std::time::{SystemTime, UNIX_EPOCH};

use anyhow::Context;

use super::append::AppendFile;
use crate::events::{Consumer, StepEvent, TrainEvent};
use crate::runtime::pictures::png;
use proto::Value;

/// Writes scalars of every step and preview images for TensorBoard.
///
/// Scalar tags are `loss/TERM`, `accuracy/real`, `accuracy/fake`, `gradient_norm/TERM`,
/// `learning_rate/OPTIMIZER`, `speed/images_per_second`, `speed/seconds_per_step` and
/// `memory/resident_gib`; the image tag is `preview`.
#[derive(Debug)]
pub struct TensorBoard {
    file: AppendFile,
}

impl TensorBoard {
    /// Starts a new event file in `folder` (created where missing) for a run that has finished
    /// `finished_steps` steps.
    ///
    /// The file begins with a marker upon which TensorBoard drops the later steps of event files
    /// that an interrupted run left in the same folder.
    ///
    /// # Errors
    ///
    /// When the folder or the file cannot be written.
    pub fn create(folder: &Path, finished_steps: u64) -> anyhow::Result<Self> {
        fs::create_dir_all(folder)
            .with_context(|| format!("cannot create {}", folder.display()))?;
        let path = folder.join(file_name(folder)?);
        let mut file = AppendFile::open(&path, 0)?;
        file.append(&record::frame(&proto::version_event(wall_time())))?;
        let mut board = Self { file };
        board.start_after(finished_steps)?;
        Ok(board)
    }

    /// Marks that what is written of later steps than `step` is void.
    fn start_after(&mut self, step: u64) -> anyhow::Result<()> {
        let event = proto::start_event(wall_time(), step + 1);
        self.file.append(&record::frame(&event))
    }

    fn write(&mut self, step: u64, values: &[Value]) -> anyhow::Result<()> {
        self.file.append(&record::frame(&proto::summary_event(
            wall_time(),
            step,
            values,
        )))
    }
}

impl Consumer for TensorBoard {
    fn on_event(&mut self, event: &TrainEvent) -> anyhow::Result<()> {
        match event {
            TrainEvent::Step(step) => self.write(step.step, &scalars(step)),
            TrainEvent::Preview { step, image } => {
                let (width, height) = image.dimensions();
                self.write(*step, &[Value::png("preview", width, height, png(image)?)])
            }
            TrainEvent::Evaluation { step, values, .. } => {
                self.write(*step, &group("evaluation", values))
            }
            TrainEvent::WentBack { step } => self.start_after(*step),
            _ => Ok(()),
        }
    }
}

/// A name after all names in `folder`: TensorBoard reads the files of a folder by name.
fn file_name(folder: &Path) -> anyhow::Result<String> {
    let seconds = wall_time() as u64;
    let process = std::process::id();
    // Two runs may start within one second, and their order must not hang on process ids.
    let existing = fs::read_dir(folder)
        .with_context(|| format!("cannot read {}", folder.display()))?
        .count();
    Ok(format!(
        "events.out.tfevents.{seconds:010}.{existing:04}.{process}.dp-sims"
    ))
}

fn wall_time() -> f64 {
    // A clock before 1970 has no better answer than 1970.
    SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .map_or(0.0, |time| time.as_secs_f64())
}

fn scalars(step: &StepEvent) -> Vec<Value> {
    let mut values = group("loss", &step.losses);
    values.extend(group("gradient_norm", &step.gradient_norms));
    values.extend(group("learning_rate", &step.learning_rates));
    values.extend(group("measure", &step.measures));
    let memory_gib = step.memory_bytes as f64 / (1u64 << 30) as f64;
    values.extend([
        Value::scalar("accuracy/real", step.accuracy_real),
        Value::scalar("accuracy/fake", step.accuracy_fake),
        Value::scalar("speed/images_per_second", step.images_per_second),
        Value::scalar("speed/seconds_per_step", step.seconds),
        Value::scalar("memory/resident_gib", memory_gib),
    ]);
    values
}

fn group<K: Display>(group: &str, scalars: &BTreeMap<K, f64>) -> Vec<Value> {
    let named = scalars.iter();
    named
        .map(|(name, value)| Value::scalar(&format!("{group}/{name}"), *value))
        .collect()
}

#[cfg(test)]
mod tests {
    use image::{Rgb, RgbImage};

    use super::proto::tests::{Field, parse};
    use super::record::tests::unframe;
    use super::*;
    use crate::events::{Loss, Network, Term};

    fn step(step: u64) -> StepEvent {
        StepEvent {
            step,
            losses: [(Loss(Network::Generator, Term::Total), 0.25 * step as f64)].into(),
            gradient_norms: [(Term::Gan, 3.5)].into(),
            learning_rates: [(Network::Generator, 1e-4)].into(),
            accuracy_real: 0.75,
            memory_bytes: 3 << 29,
            ..StepEvent::default()
        }
    }

    /// The (step, summary values) of every record of the only file in `folder`.
    fn read(folder: &Path) -> Vec<(u64, Vec<BTreeMap<u64, Field>>)> {
        let path = fs::read_dir(folder)
            .unwrap()
            .next()
            .unwrap()
            .unwrap()
            .path();
        let mut events = Vec::new();
        for record in unframe(&fs::read(path).unwrap()) {
            let mut number = 0;
            let mut values = Vec::new();
            for (field, content) in parse(&record) {
                match (field, content) {
                    (2, Field::Varint(value)) => number = value,
                    (5, Field::Bytes(summary)) => {
                        for (field, value) in parse(&summary) {
                            assert_eq!(field, 1, "a summary holds values");
                            values.push(parse(value.bytes()).into_iter().collect());
                        }
                    }
                    _ => {}
                }
            }
            events.push((number, values));
        }
        events
    }

    #[test]
    fn scalars_and_images_read_back() {
        let folder = tempfile::tempdir().unwrap();
        let mut board = TensorBoard::create(folder.path(), 6).unwrap();
        let image = RgbImage::from_fn(6, 5, |x, y| Rgb([x as u8, y as u8, 9]));
        board.on_event(&TrainEvent::Step(step(7))).unwrap();
        board
            .on_event(&TrainEvent::Note {
                message: "ignored".to_owned(),
            })
            .unwrap();
        board
            .on_event(&TrainEvent::Preview {
                step: 7,
                image: image.clone(),
            })
            .unwrap();
        board
            .on_event(&TrainEvent::Evaluation {
                step: 8,
                values: [("miou".to_owned(), 12.5)].into(),
                is_best: true,
            })
            .unwrap();

        let events = read(folder.path());
        assert_eq!(
            events.iter().map(|event| event.0).collect::<Vec<_>>(),
            [0, 7, 7, 7, 8]
        );
        let scalars: BTreeMap<&str, f32> = events[2]
            .1
            .iter()
            .map(|value| {
                (
                    std::str::from_utf8(value[&1].bytes()).unwrap(),
                    value[&2].float(),
                )
            })
            .collect();
        assert_eq!(
            scalars,
            BTreeMap::from([
                ("loss/g_total", 1.75),
                ("gradient_norm/gan", 3.5),
                ("learning_rate/generator", 1e-4),
                ("accuracy/real", 0.75),
                ("accuracy/fake", 0.0),
                ("speed/images_per_second", 0.0),
                ("speed/seconds_per_step", 0.0),
                ("memory/resident_gib", 1.5),
            ])
        );
        let preview = &events[3].1[0];
        assert_eq!(preview[&1].bytes(), b"preview");
        let fields: BTreeMap<u64, Field> = parse(preview[&4].bytes()).into_iter().collect();
        assert_eq!(fields[&1], Field::Varint(5), "height");
        assert_eq!(fields[&2], Field::Varint(6), "width");
        assert_eq!(fields[&3], Field::Varint(3), "RGB");
        assert_eq!(
            image::load_from_memory(fields[&4].bytes())
                .unwrap()
                .into_rgb8(),
            image
        );
        let evaluation = &events[4].1[0];
        assert_eq!(evaluation[&1].bytes(), b"evaluation/miou");
        assert_eq!(evaluation[&2].float(), 12.5);
    }

    #[test]
    fn later_files_sort_after_earlier_ones() {
        let folder = tempfile::tempdir().unwrap();
        for finished in 0..3 {
            TensorBoard::create(folder.path(), finished).unwrap();
        }
        let mut paths: Vec<_> = fs::read_dir(folder.path())
            .unwrap()
            .map(|entry| entry.unwrap().path())
            .collect();
        paths.sort();
        let first_steps: Vec<u64> = paths
            .iter()
            .map(
                |path| match parse(&unframe(&fs::read(path).unwrap())[1])[1] {
                    (2, Field::Varint(step)) => step,
                    ref other => panic!("{other:?}"),
                },
            )
            .collect();
        assert_eq!(first_steps, [1, 2, 3]);
    }

    #[test]
    fn a_file_in_the_way_is_an_error() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("board");
        fs::write(&path, b"").unwrap();
        let error = format!("{:#}", TensorBoard::create(&path, 0).unwrap_err());
        assert!(error.contains("board"), "{error}");
    }
}
