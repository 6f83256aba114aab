//! Convex solids that stand on the ground, the building blocks of houses, cars and bins.

use super::camera::{Bounds, Camera, Ray};
use super::math::{Vec3, vec3};

/// Where a ray meets an object.
#[derive(Clone, Copy, Debug)]
pub(super) struct Hit {
    /// Depth, metres.
    pub(super) t: f32,
    /// Which part or face was met; the object decides what the number means.
    pub(super) part: u8,
    /// The place on the object, in its own frame, metres.
    pub(super) local: Vec3,
}

/// A place on the ground and a heading: the frame in which an object is modelled.
#[derive(Clone, Copy)]
pub(super) struct Frame {
    pub(super) x: f32,
    pub(super) z: f32,
    cos: f32,
    sin: f32,
}

impl Frame {
    /// A frame whose own z axis is turned by `heading` radians to the right of the world's.
    pub(super) fn new(x: f32, z: f32, heading: f32) -> Self {
        Self {
            x,
            z,
            cos: heading.cos(),
            sin: heading.sin(),
        }
    }

    /// World direction to own direction.
    pub(super) fn turn_in(&self, d: Vec3) -> Vec3 {
        vec3(
            self.cos * d.x - self.sin * d.z,
            d.y,
            self.sin * d.x + self.cos * d.z,
        )
    }

    /// Own direction to world direction.
    pub(super) fn turn_out(&self, d: Vec3) -> Vec3 {
        vec3(
            self.cos * d.x + self.sin * d.z,
            d.y,
            self.cos * d.z - self.sin * d.x,
        )
    }

    /// The eye and the ray's direction in this frame.
    pub(super) fn ray_in(&self, camera: &Camera, ray: Ray) -> (Vec3, Vec3) {
        let eye = vec3(-self.x, camera.eye, -self.z);
        (self.turn_in(eye), self.turn_in(ray.direction()))
    }

    /// Bounds of the box `|x| <= half_x, 0 <= y <= height, |z| <= half_z` of this frame.
    pub(super) fn bounds(&self, half: (f32, f32), height: f32, eye: f32) -> Option<Bounds> {
        let mut corners = [vec3(0.0, 0.0, 0.0); 8];
        for (i, corner) in corners.iter_mut().enumerate() {
            let pick = |bit: usize, low: f32, high: f32| if i >> bit & 1 == 0 { low } else { high };
            let own = vec3(
                pick(0, -half.0, half.0),
                pick(1, 0.0, height),
                pick(2, -half.1, half.1),
            );
            *corner = self.turn_out(own) + vec3(self.x, 0.0, self.z);
        }
        Bounds::of(&corners, eye)
    }
}

/// The part of space behind all of its faces.
pub(super) struct Solid {
    /// Outward unit normal and distance from the origin, one per face.
    faces: Vec<(Vec3, f32)>,
}

impl Solid {
    /// The box `low..high`; faces in the order -x, +x, -y, +y, -z, +z.
    pub(super) fn cuboid(low: Vec3, high: Vec3) -> Self {
        Self {
            faces: vec![
                (vec3(-1.0, 0.0, 0.0), -low.x),
                (vec3(1.0, 0.0, 0.0), high.x),
                (vec3(0.0, -1.0, 0.0), -low.y),
                (vec3(0.0, 1.0, 0.0), high.y),
                (vec3(0.0, 0.0, -1.0), -low.z),
                (vec3(0.0, 0.0, 1.0), high.z),
            ],
        }
    }

    /// Cuts the solid with the plane through `point` whose outward direction is `outward`.
    pub(super) fn cut(mut self, point: Vec3, outward: Vec3) -> Self {
        let normal = outward.normalised();
        self.faces.push((normal, normal.dot(point)));
        self
    }

    /// Outward normal of face `part` in the solid's frame.
    pub(super) fn normal(&self, part: u8) -> Vec3 {
        self.faces[usize::from(part)].0
    }

    /// First face met by the ray `origin + t * direction`, with its t > 0.
    pub(super) fn meet(&self, origin: Vec3, direction: Vec3) -> Option<(f32, u8)> {
        let (mut enter, mut leave, mut part) = (0.0f32, f32::INFINITY, None);
        for (index, &(normal, offset)) in self.faces.iter().enumerate() {
            let speed = normal.dot(direction);
            let gap = offset - normal.dot(origin);
            if speed < 0.0 {
                let t = gap / speed;
                if t > enter {
                    enter = t;
                    part = Some(index as u8);
                }
            } else if speed > 0.0 {
                leave = leave.min(gap / speed);
            } else if gap < 0.0 {
                return None;
            }
            if enter > leave {
                return None;
            }
        }
        part.map(|part| (enter, part))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_ray_meets_the_near_face_of_a_box() {
        let solid = Solid::cuboid(vec3(-1.0, 0.0, 4.0), vec3(1.0, 2.0, 6.0));
        let origin = vec3(0.0, 1.0, 0.0);
        assert_eq!(solid.meet(origin, vec3(0.0, 0.0, 1.0)), Some((4.0, 4)));
        assert_eq!(solid.meet(origin, vec3(0.0, 0.5, 1.0)), None);
        assert_eq!(solid.meet(origin, vec3(0.0, 0.0, -1.0)), None);
        let cut = solid.cut(vec3(0.0, 2.0, 5.0), vec3(0.0, 1.0, -1.0));
        assert_eq!(cut.meet(origin, vec3(0.0, -0.05, 1.0)), Some((4.0, 4)));
        // Above the cut's edge (y = 1, z = 4) the slanted face z = y + 3 comes first.
        let (t, part) = cut.meet(origin, vec3(0.0, 0.05, 1.0)).unwrap();
        assert_eq!(part, 6);
        assert!((t - (1.0 + 0.05 * t + 3.0)).abs() < 1e-5, "{t}");
    }

    #[test]
    fn frames_turn_in_and_out() {
        let frame = Frame::new(3.0, 9.0, 0.7);
        let d = vec3(0.3, 0.2, -0.9);
        let back = frame.turn_out(frame.turn_in(d)) - d;
        assert!(back.dot(back) < 1e-12);
    }
}
