//! Backward passes segment by segment, with or without recomputation.

use std::rc::Rc;

use burn::module::{AutodiffModule, ModuleMapper, ModuleVisitor, Param};
use burn::optim::GradientsParams;
use burn::tensor::Tensor;
use burn::tensor::backend::AutodiffBackend;
use dp_sims_backends::collective::backward;

use crate::buffers::copy_buffers;
use crate::segments::Segments;

/// Segments that were run, for the way back through them.
///
/// Every segment has a graph of its own, which begins at copies of its inputs. The backward pass goes from the last
/// segment to the first and adds up gradients where a map has several readers, in the order of the tape. With
/// recomputation a segment first runs without a graph; the way back computes it again with one, from the same inputs
/// and the state that the network had before. Operations, and the order of sums, are the same in both cases, and
/// so are all bits of the gradients wherever an operation gives the same result twice.
///
/// # Cost
/// Without recomputation the graphs of all segments until the way back; with it the inputs of all segments, one graph
/// at a time, and one more forward pass of every segment that a gradient reaches.
pub struct Tape<B: AutodiffBackend> {
    recompute: bool,
    records: Vec<Record<B>>,
    /// Maps that take a gradient.
    slots: usize,
    /// Slots of the inputs of the tape.
    inputs: Vec<usize>,
}

/// A map on a tape.
#[derive(Clone, Debug)]
pub struct Value<B: AutodiffBackend> {
    tensor: Tensor<B::InnerBackend, 4>,
    /// Where its gradient is added up, if it takes one.
    slot: Option<usize>,
}

impl<B: AutodiffBackend> Value<B> {
    /// A map that takes no gradient, `[N, C, H, W]`.
    pub fn constant(tensor: Tensor<B::InnerBackend, 4>) -> Self {
        Self { tensor, slot: None }
    }

    /// The map without a graph.
    pub fn tensor(&self) -> Tensor<B::InnerBackend, 4> {
        self.tensor.clone()
    }

    /// The map as the beginning of a graph, with a gradient if it takes one.
    pub fn leaf(&self) -> Tensor<B, 4> {
        let leaf = Tensor::from_inner(self.tensor.clone());
        match self.slot {
            Some(_) => leaf.require_grad(),
            None => leaf,
        }
    }
}

/// What a way back through a tape brings.
pub struct Pulled<B: AutodiffBackend> {
    /// Gradients of the parameters of all networks on the tape.
    pub parameters: GradientsParams,
    /// Gradients at the [inputs](Tape::input), in their order; none where no gradient arrived.
    pub inputs: Vec<Option<Tensor<B::InnerBackend, 4>>>,
}

/// Takes the gradients of a segment's parameters out of all gradients.
type Collect<B> = Box<dyn FnOnce(&mut <B as AutodiffBackend>::Gradients, &mut GradientsParams)>;

/// A segment that was run.
struct Record<B: AutodiffBackend> {
    inputs: Vec<Option<usize>>,
    outputs: Vec<usize>,
    graph: Box<dyn FnOnce() -> Graph<B>>,
    collect: Collect<B>,
}

/// The graph of a segment.
struct Graph<B: AutodiffBackend> {
    leaves: Vec<Tensor<B, 4>>,
    outputs: Vec<Tensor<B, 4>>,
}

impl<B: AutodiffBackend> Tape<B> {
    /// An empty tape.
    pub fn new(recompute: bool) -> Self {
        Self {
            recompute,
            records: Vec::new(),
            slots: 0,
            inputs: Vec::new(),
        }
    }

    /// A map that takes a gradient, `[N, C, H, W]`.
    pub fn input(&mut self, tensor: Tensor<B::InnerBackend, 4>) -> Value<B> {
        let input = self.value(tensor);
        self.inputs.extend(input.slot);
        input
    }

    /// Runs a segment without parameters over one map.
    pub fn run(
        &mut self,
        input: Value<B>,
        segment: impl Fn(Tensor<B, 4>) -> Tensor<B, 4> + 'static,
    ) -> Value<B> {
        self.pass(&mut Vec::<Param<Tensor<B, 1>>>::new(), |pass| {
            let [output] = pass.run([input], move |_, [input]| [segment(input)]);
            output
        })
    }

    /// Runs segments of `network`, whose state they change once.
    pub fn pass<M, T>(&mut self, network: &mut M, work: impl FnOnce(&mut Pass<'_, B, M>) -> T) -> T
    where
        M: AutodiffModule<B> + 'static,
    {
        let mut trained = Trained(false);
        network.visit(&mut trained);
        let own = network.clone().map(&mut OwnLeaves);
        let mut pass = Pass {
            trained: trained.0,
            running: if self.recompute {
                own.clone().no_grad()
            } else {
                own.clone()
            },
            before: Rc::new(own),
            tape: self,
        };
        let result = work(&mut pass);
        let running = pass.running.valid();
        *network = copy_buffers(network.clone(), &running);
        result
    }

    /// The way back: takes the gradients at some maps to the parameters and the inputs.
    ///
    /// # Panics
    /// As [`backward`].
    pub fn backward(
        mut self,
        gradients: impl IntoIterator<Item = (Value<B>, Tensor<B::InnerBackend, 4>)>,
    ) -> Pulled<B> {
        let mut parameters = GradientsParams::new();
        let mut pulls = Pulls::<B>(vec![None; self.slots]);
        for (value, gradient) in gradients {
            pulls.add(value.slot, gradient);
        }
        while let Some(record) = self.records.pop() {
            let of_outputs: Vec<_> = record
                .outputs
                .iter()
                .map(|&slot| pulls.0[slot].take())
                .collect();
            if of_outputs.iter().all(Option::is_none) {
                continue;
            }
            let Graph { leaves, outputs } = (record.graph)();
            let device = outputs[0].device();
            // Where no output depends on anything that takes a gradient there is a graph nonetheless.
            let mut sum = Tensor::<B, 1>::zeros([1], &device).require_grad();
            for (output, gradient) in outputs.into_iter().zip(of_outputs) {
                if let Some(gradient) = gradient {
                    sum = sum + (output * Tensor::from_inner(gradient)).sum();
                }
            }
            let mut gradients = backward(sum);
            (record.collect)(&mut gradients, &mut parameters);
            for (leaf, slot) in leaves.into_iter().zip(record.inputs) {
                if let Some(gradient) = leaf.grad_remove(&mut gradients) {
                    pulls.add(slot, gradient);
                }
            }
        }
        let inputs = self.inputs.iter();
        Pulled {
            parameters,
            inputs: inputs.map(|&slot| pulls.0[slot].take()).collect(),
        }
    }

    fn value(&mut self, tensor: Tensor<B::InnerBackend, 4>) -> Value<B> {
        let slot = Some(self.slots);
        self.slots += 1;
        Value { tensor, slot }
    }
}

/// Gradients that are added up.
struct Pulls<B: AutodiffBackend>(Vec<Option<Tensor<B::InnerBackend, 4>>>);

impl<B: AutodiffBackend> Pulls<B> {
    fn add(&mut self, slot: Option<usize>, gradient: Tensor<B::InnerBackend, 4>) {
        if let Some(slot) = slot {
            self.0[slot] = Some(match self.0[slot].take() {
                Some(sum) => sum + gradient,
                None => gradient,
            });
        }
    }
}

/// Segments of one network on a tape.
pub struct Pass<'a, B: AutodiffBackend, M> {
    tape: &'a mut Tape<B>,
    /// The network before any of the segments.
    before: Rc<M>,
    /// The network whose state the segments change.
    running: M,
    /// Whether any of its parameters takes a gradient.
    trained: bool,
}

impl<B: AutodiffBackend, M: AutodiffModule<B> + 'static> Segments<B, M> for Pass<'_, B, M> {
    type Map = Value<B>;

    fn network(&self) -> &M {
        &self.running
    }

    fn dims(map: &Self::Map) -> [usize; 4] {
        map.tensor.dims()
    }

    fn run_all(
        &mut self,
        inputs: Vec<Self::Map>,
        segment: impl Fn(&mut M, Vec<Tensor<B, 4>>) -> Vec<Tensor<B, 4>> + 'static,
    ) -> Vec<Self::Map> {
        self.record(inputs, self.trained, segment)
    }

    fn run_frozen(
        &mut self,
        inputs: Vec<Self::Map>,
        segment: impl Fn(&mut M, Vec<Tensor<B, 4>>) -> Vec<Tensor<B, 4>> + 'static,
    ) -> Vec<Self::Map> {
        self.record(inputs, false, segment)
    }
}

impl<B: AutodiffBackend, M: AutodiffModule<B> + 'static> Pass<'_, B, M> {
    /// Runs a segment whose parameters take gradients or not; one that takes no gradient at all is not recorded.
    fn record(
        &mut self,
        inputs: Vec<Value<B>>,
        trained: bool,
        segment: impl Fn(&mut M, Vec<Tensor<B, 4>>) -> Vec<Tensor<B, 4>> + 'static,
    ) -> Vec<Value<B>> {
        let plain = |tensor: Tensor<B, 4>| tensor.inner();
        let constants = |inputs: &[Value<B>]| {
            let constants = inputs.iter();
            constants
                .map(|input| Tensor::from_inner(input.tensor.clone()))
                .collect()
        };
        if !trained && inputs.iter().all(|input| input.slot.is_none()) {
            let outputs = segment(&mut self.running, constants(&inputs)).into_iter();
            return outputs.map(|map| Value::constant(plain(map))).collect();
        }
        let slots = inputs.iter().map(|input| input.slot).collect();
        let leaves = |inputs: Vec<Value<B>>| inputs.iter().map(Value::leaf).collect::<Vec<_>>();
        let (outputs, graph): (Vec<_>, Box<dyn FnOnce() -> Graph<B>>) = if self.tape.recompute {
            let outputs = segment(&mut self.running, constants(&inputs)).into_iter();
            let outputs = outputs.map(plain).collect();
            let before = Rc::clone(&self.before);
            let graph = move || {
                let leaves = leaves(inputs);
                let outputs = segment(&mut M::clone(&before), leaves.clone());
                Graph { leaves, outputs }
            };
            (outputs, Box::new(graph))
        } else {
            let leaves = leaves(inputs);
            let made = segment(&mut self.running, leaves.clone());
            let outputs = made.iter().cloned().map(plain).collect();
            let graph = Graph {
                leaves,
                outputs: made,
            };
            (outputs, Box::new(move || graph))
        };
        let before = Rc::clone(&self.before);
        let outputs: Vec<_> = outputs
            .into_iter()
            .map(|output| self.tape.value(output))
            .collect();
        self.tape.records.push(Record {
            inputs: slots,
            outputs: outputs.iter().filter_map(|output| output.slot).collect(),
            graph,
            collect: Box::new(move |gradients, parameters| {
                before.visit(&mut Collector::<B> {
                    gradients,
                    parameters,
                });
            }),
        });
        outputs
    }
}

/// Gives every parameter that takes a gradient a node of its own.
///
/// Graphs that share a node are one for burn-autodiff 0.21.0: a backward pass through one of them, while others wait
/// for theirs, has been seen to lose gradients of the others, not every time.
struct OwnLeaves;

impl<B: AutodiffBackend> ModuleMapper<B> for OwnLeaves {
    fn map_float<const D: usize>(&mut self, param: Param<Tensor<B, D>>) -> Param<Tensor<B, D>> {
        if param.is_require_grad() {
            param.map(|value| Tensor::from_inner(value.inner()).require_grad())
        } else {
            param
        }
    }
}

/// Whether any parameter takes a gradient.
struct Trained(bool);

impl<B: AutodiffBackend> ModuleVisitor<B> for Trained {
    fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<B, D>>) {
        self.0 |= param.is_require_grad();
    }
}

/// Adds the gradients of a module to those of earlier backward passes.
struct Collector<'a, B: AutodiffBackend> {
    gradients: &'a mut B::Gradients,
    parameters: &'a mut GradientsParams,
}

impl<B: AutodiffBackend> ModuleVisitor<B> for Collector<'_, B> {
    fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<B, D>>) {
        let Some(gradient) = param.val().grad_remove(self.gradients) else {
            return;
        };
        let sum = match self.parameters.remove::<B::InnerBackend, D>(param.id) {
            Some(sum) => sum + gradient,
            None => gradient,
        };
        self.parameters.register(param.id, sum);
    }
}

#[cfg(test)]
mod tests;
