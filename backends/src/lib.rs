//! The only place of dp-sims that names concrete burn backends, beside the crate of the processor's, `cpu`.
//!
//! Everything else is generic over [`AutodiffBackend`](burn::tensor::backend::AutodiffBackend). A
//! program names a backend at run time with [`BackendChoice`]; [`Selected::run`] turns the name
//! into a type and calls the generic code. Generic code calls [`fused`] operations, which are faster on
//! some backends.

mod attempt;
mod choice;
pub mod collective;
pub mod conformance;
mod constant;
pub mod fused;
#[cfg(feature = "gpu")]
pub mod gpu;
mod select;
mod terms;

pub use choice::{BackendChoice, BackendError, BackendKind};
pub use constant::{Key, constant};
#[cfg(feature = "flex")]
pub use dp_sims_cpu as cpu;
pub use select::{DeviceInfo, Selected, Task, available, select};

#[cfg(feature = "flex")]
/// Flex, burn's fast CPU backend in pure Rust, with our convolutions ([`cpu::Cpu`]) and automatic
/// differentiation.
pub type FlexAutodiff = burn::backend::Autodiff<cpu::Cpu>;

#[cfg(feature = "ndarray")]
/// ndarray, the portable CPU backend used for module tests, with automatic differentiation.
pub type NdArrayAutodiff = burn::backend::Autodiff<burn_ndarray::NdArray>;

#[cfg(feature = "wgpu")]
/// wgpu (Vulkan, Metal, DirectX) with automatic differentiation.
pub type WgpuAutodiff = burn::backend::Autodiff<gpu::Gpu<burn_wgpu::WgpuRuntime, u32>>;

#[cfg(feature = "cuda")]
/// CUDA with automatic differentiation. The driver is opened at run time.
pub type CudaAutodiff = burn::backend::Autodiff<gpu::Gpu<cubecl::cuda::CudaRuntime, u8>>;
