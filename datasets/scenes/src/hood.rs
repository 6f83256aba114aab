//! The bonnet of the car that carries the camera.

use super::camera::Ray;
use super::light::Light;
use super::math::{Vec3, saturate, smoothstep, vec3};

/// The bonnet of the car that carries the camera; void in the label map.
pub(super) struct Hood {
    /// Slope of the ray over the middle of the bonnet.
    pub(super) top: f32,
    pub(super) paint: Vec3,
}

impl Hood {
    /// How far below the bonnet's outline a ray passes, as a slope; negative above it.
    pub(super) fn height(&self, ray: Ray) -> f32 {
        self.top - 0.10 * ray.x * ray.x - 0.12 * ray.x.abs().powi(6) - ray.y
    }

    /// Light from the bonnet.
    pub(super) fn shade(&self, light: &Light, ray: Ray) -> Vec3 {
        let depth = self.height(ray);
        let up = saturate(1.0 - 6.0 * depth);
        let normal = vec3(0.5 * ray.x, 1.0, -0.5 + up).normalised();
        let matt = light.shade(self.paint, normal, 0.8, 1.0);
        // The far edge mirrors the horizon, the near part the sky above.
        let mirror = light.sky(0.9 - 0.8 * up) * (0.12 + 0.3 * up);
        let crease = smoothstep(0.02, 0.0, (ray.x.abs() - 0.28 - 0.4 * depth).abs());
        (matt + mirror) * (1.0 - 0.25 * crease)
    }
}
