//! Draws a composed scene.
//!
//! The ray through a pixel's centre decides its label. Where it and the rays through the pixel's
//! corners see one surface that filters its own texture, that surface is shaded once; elsewhere
//! the colour is the mean over the four quarters of the pixel.

use dp_sims_datasets::Size;

use super::camera::Ray;
use super::classes::{LANE_MARKING, ROAD, VOID};
use super::ground::Spot;
use super::math::{Vec3, saturate, vec3};
use super::object::Shape;
use super::scene::Scene;
use super::solid::Hit;

/// Photo, class map and instance map of a scene.
pub(super) struct Picture {
    pub(super) image: Vec<u8>,
    pub(super) labels: Vec<u8>,
    pub(super) instances: Vec<u16>,
}

/// Everything that the rays of one row share.
struct Row {
    slope: f32,
    /// Depth at which the row meets the ground.
    ground: Option<f32>,
    /// Indices of the objects and shadows that the row can meet, in scene order.
    objects: Vec<usize>,
    blobs: Vec<usize>,
}

/// Depth beyond which the ground hides under the haze of the horizon, metres.
const GROUND_END: f32 = 450.0;

/// What a ray sees first.
#[derive(Clone, Copy)]
enum Seen {
    Hood,
    /// Index of the object and the place on it.
    Object(usize, Hit),
    /// Class and depth of the ground.
    Ground(u8, f32),
    /// Class of the sky or of a layer of the horizon.
    Backdrop(u8),
}

impl Seen {
    /// Whether one shading stands for both places: on surfaces whose textures are filtered to
    /// the pixel's width. Road paint is such a texture, although it is a class of its own.
    fn one_surface(self, other: Self) -> bool {
        let material = |class| if class == LANE_MARKING { ROAD } else { class };
        match (self, other) {
            (Self::Hood, Self::Hood) => true,
            (Self::Object(a, p), Self::Object(b, q)) => a == b && p.part == q.part,
            (Self::Ground(a, _), Self::Ground(b, _)) => material(a) == material(b),
            (Self::Backdrop(a), Self::Backdrop(b)) => a == b,
            _ => false,
        }
    }
}

impl Scene {
    /// Draws the label map alone.
    pub(super) fn draw_labels(&self, size: Size) -> Vec<u8> {
        let mut labels = Vec::with_capacity(size.pixels());
        for y in 0..size.height {
            let row = self.row(y as f32 + 0.5, size);
            for x in 0..size.width {
                let ray = self.ray(x as f32 + 0.5, &row, size);
                labels.push(self.label(self.see(ray, &row)).0);
            }
        }
        labels
    }

    /// Draws the photo and both maps.
    pub(super) fn draw(&self, size: Size) -> Picture {
        let mut image = Vec::with_capacity(size.pixels() * 3);
        let mut labels = Vec::with_capacity(size.pixels());
        let mut instances = Vec::with_capacity(size.pixels());
        let pixel = self.pixel(size);
        let mut above = self.corners(0, size);
        for y in 0..size.height {
            let below = self.corners(y + 1, size);
            let row = self.row(y as f32 + 0.5, size);
            let halves = [
                self.row(y as f32 + 0.25, size),
                self.row(y as f32 + 0.75, size),
            ];
            for x in 0..size.width {
                let ray = self.ray(x as f32 + 0.5, &row, size);
                let seen = self.see(ray, &row);
                let (class, instance) = self.label(seen);
                labels.push(class);
                instances.push(instance);
                let around = [above[x], above[x + 1], below[x], below[x + 1]];
                let plain =
                    self.filtered(seen) && around.into_iter().all(|other| seen.one_surface(other));
                let colour = if plain {
                    self.light.develop(self.colour(ray, &row, seen, pixel))
                } else {
                    self.quarters(x, &halves, size)
                };
                image.extend([colour.x, colour.y, colour.z].map(|v| (v + 0.5) as u8));
            }
            above = below;
        }
        Picture {
            image,
            labels,
            instances,
        }
    }

    /// What the rays through the corners of the pixels see, along the upper edge of row `y`.
    fn corners(&self, y: usize, size: Size) -> Vec<Seen> {
        let row = self.row(y as f32, size);
        (0..=size.width)
            .map(|x| self.see(self.ray(x as f32, &row, size), &row))
            .collect()
    }

    /// Mean colour of the four quarters of pixel `x`; `halves` are the rows through them.
    fn quarters(&self, x: usize, halves: &[Row; 2], size: Size) -> Vec3 {
        let mut sum = vec3(0.0, 0.0, 0.0);
        for row in halves {
            for shift in [0.25, 0.75] {
                let ray = self.ray(x as f32 + shift, row, size);
                let colour = self.colour(ray, row, self.see(ray, row), 0.5 * self.pixel(size));
                sum = sum + self.light.develop(colour) * 0.25;
            }
        }
        sum
    }

    /// Width of a pixel as a slope.
    fn pixel(&self, size: Size) -> f32 {
        2.0 * self.camera.half / size.height as f32
    }

    /// Whether the surface filters its own texture to the pixel's width.
    fn filtered(&self, seen: Seen) -> bool {
        match seen {
            Seen::Object(index, _) => match &self.objects[index].shape {
                Shape::Building(_) => true,
                Shape::Tree(tree) => tree.opaque(),
                _ => false,
            },
            _ => true,
        }
    }

    fn ray(&self, x: f32, row: &Row, size: Size) -> Ray {
        Ray {
            x: self.camera.slope_x(x, size.width, size.height),
            y: row.slope,
        }
    }

    fn row(&self, y: f32, size: Size) -> Row {
        let slope = self.camera.slope_y(y, size.height);
        let depth = -self.camera.eye / slope;
        let ground = (slope < 0.0 && depth < GROUND_END).then_some(depth);
        let objects = (0..self.objects.len()).filter(|&i| {
            let bounds = &self.objects[i].bounds;
            slope >= bounds.low && slope <= bounds.high
        });
        let blobs = (0..self.blobs.len()).filter(|&i| {
            let (near, far) = self.blobs[i].depths();
            ground.is_some_and(|z| z >= near && z <= far)
        });
        Row {
            slope,
            ground,
            objects: objects.collect(),
            blobs: blobs.collect(),
        }
    }

    /// The nearest object on a ray at a depth of more than `from`.
    fn meet(&self, ray: Ray, row: &Row, from: f32) -> Option<(usize, Hit)> {
        let mut best: Option<(usize, Hit)> = None;
        for &index in &row.objects {
            let object = &self.objects[index];
            let bounds = &object.bounds;
            if best.as_ref().is_some_and(|(_, hit)| bounds.near >= hit.t) {
                break;
            }
            if ray.x < bounds.left || ray.x > bounds.right {
                continue;
            }
            if let Some(hit) = object.meet(&self.camera, ray)
                && hit.t > from
                && best.as_ref().is_none_or(|(_, other)| hit.t < other.t)
            {
                best = Some((index, hit));
            }
        }
        best
    }

    fn see(&self, ray: Ray, row: &Row) -> Seen {
        if self
            .hood
            .as_ref()
            .is_some_and(|hood| hood.height(ray) > 0.0)
        {
            return Seen::Hood;
        }
        if let Some((index, hit)) = self.meet(ray, row, 0.0) {
            return Seen::Object(index, hit);
        }
        self.see_behind(ray, row)
    }

    fn see_behind(&self, ray: Ray, row: &Row) -> Seen {
        match row.ground {
            Some(t) => Seen::Ground(self.road.class_at(ray.x * t, t), t),
            None => Seen::Backdrop(self.backdrop.class(ray)),
        }
    }

    /// Class and instance of a surface.
    fn label(&self, seen: Seen) -> (u8, u16) {
        match seen {
            Seen::Hood => (VOID, 0),
            Seen::Object(index, _) => (self.objects[index].class, self.objects[index].instance),
            Seen::Ground(class, _) | Seen::Backdrop(class) => (class, 0),
        }
    }

    /// Linear light from what a ray sees; `pixel` is the width of the ray as a slope.
    fn colour(&self, ray: Ray, row: &Row, seen: Seen, pixel: f32) -> Vec3 {
        match seen {
            Seen::Hood => self
                .hood
                .as_ref()
                .map_or(self.light.horizon, |hood| hood.shade(&self.light, ray)),
            Seen::Object(index, hit) => self.object_colour(ray, row, (index, hit), pixel),
            Seen::Ground(class, t) => self.ground_colour(ray, row, (class, t), pixel),
            Seen::Backdrop(_) => {
                let (light, distance) = self.backdrop.colour(&self.light, ray, pixel);
                distance.map_or(light, |distance| self.light.haze(light, distance))
            }
        }
    }

    /// Light from an object and, where it has gaps, from what stands behind it.
    fn object_colour(&self, ray: Ray, row: &Row, first: (usize, Hit), pixel: f32) -> Vec3 {
        let mut sum = vec3(0.0, 0.0, 0.0);
        let mut rest = 1.0;
        let mut next = Some(first);
        while let Some((index, hit)) = next {
            let object = &self.objects[index];
            let width = pixel * hit.t;
            let share = saturate(object.coverage(ray, &hit, width));
            if share > 0.01 {
                let sunny = self.sunny(object.exposed(&self.camera, ray, &hit));
                let light = object.shade(&self.light, ray, &hit, width, sunny);
                sum = sum + self.light.haze(light, hit.t * ray.length()) * (rest * share);
                rest *= 1.0 - share;
            }
            if rest < 0.02 {
                return sum;
            }
            next = self.meet(ray, row, hit.t + 1e-3);
        }
        sum + self.colour(ray, row, self.see_behind(ray, row), pixel) * rest
    }

    fn sunny(&self, p: Vec3) -> f32 {
        let side = usize::from(self.light.sun.x > 0.0);
        self.skylines[side].sunny(&self.road, &self.light, p, self.light.sun.x.signum())
    }

    fn ground_colour(&self, ray: Ray, row: &Row, (class, t): (u8, f32), pixel: f32) -> Vec3 {
        let (x, z) = (ray.x * t, t);
        let mut sunny = self.sunny(vec3(x, 0.0, z));
        let mut open = 1.0;
        for &index in &row.blobs {
            let (sun, sky) = self.blobs[index].left(x, z);
            sunny *= sun;
            open *= sky;
        }
        let width = (pixel * t, pixel * t * t / self.camera.eye);
        let spot = Spot {
            x,
            z,
            width,
            sunny,
            open,
        };
        let light = self
            .ground
            .shade(class, &self.road, &self.light, &self.backdrop, ray, spot);
        self.light.haze(light, t * ray.length())
    }
}
