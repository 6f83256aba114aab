//! Networks in segments: what one segment keeps for its backward pass can be dropped and computed again.
//!
//! A network says how its segments follow each other in one function over [`Segments`], which runs them in one
//! of two ways: [`Plain`] one after the other, as part of whatever graph there is; on a [`Tape`](crate::tape::Tape),
//! each with a graph of its own.

use burn::tensor::{Tensor, backend::Backend};

/// Runs the segments of a network `M`.
pub trait Segments<B: Backend, M> {
    /// A feature map between segments.
    type Map: Clone;

    /// The network.
    fn network(&self) -> &M;

    /// Shape of a map.
    fn dims(map: &Self::Map) -> [usize; 4];

    /// Runs a segment over any number of maps.
    ///
    /// The segment is a function of the network and its inputs: it may be run again, with the network as it was.
    fn run_all(
        &mut self,
        inputs: Vec<Self::Map>,
        segment: impl Fn(&mut M, Vec<Tensor<B, 4>>) -> Vec<Tensor<B, 4>> + 'static,
    ) -> Vec<Self::Map>;

    /// The same of a segment whose parameters take no gradient.
    fn run_frozen(
        &mut self,
        inputs: Vec<Self::Map>,
        segment: impl Fn(&mut M, Vec<Tensor<B, 4>>) -> Vec<Tensor<B, 4>> + 'static,
    ) -> Vec<Self::Map> {
        self.run_all(inputs, segment)
    }

    /// Runs a segment over a fixed number of maps; see [`run_all`](Self::run_all).
    fn run<const I: usize, const O: usize>(
        &mut self,
        inputs: [Self::Map; I],
        segment: impl Fn(&mut M, [Tensor<B, 4>; I]) -> [Tensor<B, 4>; O] + 'static,
    ) -> [Self::Map; O] {
        let outputs = self.run_all(inputs.into(), move |network, inputs| {
            segment(network, array(inputs)).into()
        });
        array(outputs)
    }
}

/// As many elements as the type says.
pub(crate) fn array<T, const N: usize>(elements: Vec<T>) -> [T; N] {
    match elements.try_into() {
        Ok(elements) => elements,
        Err(_) => unreachable!("a segment has as many maps as its type says"),
    }
}

/// Runs segments one after the other and keeps nothing.
pub struct Plain<'a, M>(pub &'a mut M);

impl<B: Backend, M> Segments<B, M> for Plain<'_, M> {
    type Map = Tensor<B, 4>;

    fn network(&self) -> &M {
        self.0
    }

    fn dims(map: &Self::Map) -> [usize; 4] {
        map.dims()
    }

    fn run_all(
        &mut self,
        inputs: Vec<Self::Map>,
        segment: impl Fn(&mut M, Vec<Tensor<B, 4>>) -> Vec<Tensor<B, 4>> + 'static,
    ) -> Vec<Self::Map> {
        segment(self.0, inputs)
    }
}
