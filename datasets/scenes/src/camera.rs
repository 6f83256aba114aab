//! The pinhole camera, its rays, and the rectangle that an object covers in the picture.

use super::math::{Vec3, vec3};

/// A pinhole camera at the origin of the ground plane, looking along +z.
///
/// The horizon is set by shifting the film instead of tilting the camera: upright edges stay
/// upright and every row of pixels meets the ground at one depth.
pub(super) struct Camera {
    /// Height of the eye above the ground, metres.
    pub(super) eye: f32,
    /// Row of the horizon as a fraction of the height, 0 = top.
    pub(super) horizon: f32,
    /// Tangent of half the vertical field of view.
    pub(super) half: f32,
}

/// Direction (x, y, 1) from the eye; its parameter t is therefore the depth z.
#[derive(Clone, Copy)]
pub(super) struct Ray {
    /// Slope to the right.
    pub(super) x: f32,
    /// Slope upwards.
    pub(super) y: f32,
}

impl Ray {
    /// Length of the direction: distance travelled per metre of depth.
    pub(super) fn length(self) -> f32 {
        (1.0 + self.x * self.x + self.y * self.y).sqrt()
    }

    /// The direction as a vector.
    pub(super) fn direction(self) -> Vec3 {
        vec3(self.x, self.y, 1.0)
    }
}

impl Camera {
    /// Slope of the ray through row `y` (pixels from the top) of a picture of height `height`.
    pub(super) fn slope_y(&self, y: f32, height: usize) -> f32 {
        (self.horizon - y / height as f32) * 2.0 * self.half
    }

    /// Slope of the ray through column `x`; pixels are square, a wider picture sees more.
    pub(super) fn slope_x(&self, x: f32, width: usize, height: usize) -> f32 {
        (x - 0.5 * width as f32) / height as f32 * 2.0 * self.half
    }

    /// Slope of the ray through the bottom edge of the picture.
    pub(super) fn bottom(&self) -> f32 {
        self.slope_y(1.0, 1)
    }

    /// The point at depth `t` on a ray.
    pub(super) fn at(&self, ray: Ray, t: f32) -> Vec3 {
        vec3(ray.x * t, self.eye + ray.y * t, t)
    }
}

/// The part of the picture that can show an object, as slopes of rays.
#[derive(Clone, Copy, Debug)]
pub(super) struct Bounds {
    pub(super) left: f32,
    pub(super) right: f32,
    pub(super) low: f32,
    pub(super) high: f32,
    /// No point of the object is nearer than this depth, metres.
    pub(super) near: f32,
}

/// Depth below which a corner counts as beside or behind the camera, metres.
const NEAR: f32 = 0.3;

impl Bounds {
    /// The whole picture.
    pub(super) const ALL: Self = Self {
        left: f32::NEG_INFINITY,
        right: f32::INFINITY,
        low: f32::NEG_INFINITY,
        high: f32::INFINITY,
        near: 0.0,
    };

    /// Bounds of the convex hull of `corners`; none if all of it lies behind the camera.
    pub(super) fn of(corners: &[Vec3], eye: f32) -> Option<Self> {
        let mut bounds = Self {
            left: f32::INFINITY,
            right: f32::NEG_INFINITY,
            low: f32::INFINITY,
            high: f32::NEG_INFINITY,
            near: f32::INFINITY,
        };
        let mut behind = false;
        for corner in corners {
            if corner.z < NEAR {
                behind = true;
                continue;
            }
            let (x, y) = (corner.x / corner.z, (corner.y - eye) / corner.z);
            bounds.left = bounds.left.min(x);
            bounds.right = bounds.right.max(x);
            bounds.low = bounds.low.min(y);
            bounds.high = bounds.high.max(y);
            bounds.near = bounds.near.min(corner.z);
        }
        if bounds.near == f32::INFINITY {
            return None;
        }
        Some(if behind { Self::ALL } else { bounds })
    }

    /// Bounds of an upright rectangle that faces the camera at depth `z`.
    pub(super) fn upright(x: (f32, f32), y: (f32, f32), z: f32, eye: f32) -> Self {
        Self {
            left: x.0 / z,
            right: x.1 / z,
            low: (y.0 - eye) / z,
            high: (y.1 - eye) / z,
            near: z,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn projection_and_rays_are_inverse() {
        let camera = Camera {
            eye: 1.5,
            horizon: 0.45,
            half: 0.5,
        };
        let point = vec3(2.0, 0.25, 8.0);
        let bounds = Bounds::of(&[point], camera.eye);
        let bounds = bounds.map(|b| {
            camera.at(
                Ray {
                    x: b.left,
                    y: b.low,
                },
                b.near,
            )
        });
        assert_eq!(bounds, Some(point));
        assert!(Bounds::of(&[vec3(0.0, 1.0, -1.0)], camera.eye).is_none());
        assert!((camera.slope_y(0.45, 1)).abs() < 1e-6);
        assert_eq!(camera.slope_x(32.0, 64, 64), 0.0);
    }
}
