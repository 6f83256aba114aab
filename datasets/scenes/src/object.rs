//! Any object that stands in a scene.

use super::building::Building;
use super::camera::{Bounds, Camera, Ray};
use super::car::Car;
use super::fence::Fence;
use super::light::Light;
use super::math::Vec3;
use super::person::Person;
use super::solid::Hit;
use super::street::{Bin, Pole, Sign};
use super::tree::Tree;

/// The shape of an object.
pub(super) enum Shape {
    Building(Building),
    Car(Car),
    Tree(Tree),
    Person(Person),
    Pole(Pole),
    Sign(Sign),
    Fence(Fence),
    Bin(Bin),
}

/// An object of a scene.
pub(super) struct Object {
    pub(super) class: u8,
    /// Instance number, counted from 1 in depth order; 0 for stuff.
    pub(super) instance: u16,
    pub(super) bounds: Bounds,
    pub(super) shape: Shape,
}

impl Object {
    /// Where the ray meets the object.
    pub(super) fn meet(&self, camera: &Camera, ray: Ray) -> Option<Hit> {
        match &self.shape {
            Shape::Building(building) => building.meet(camera, ray),
            Shape::Car(car) => car.meet(camera, ray),
            Shape::Tree(tree) => tree.meet(camera, ray),
            Shape::Person(person) => person.meet(camera, ray),
            Shape::Pole(pole) => pole.meet(camera, ray),
            Shape::Sign(sign) => sign.meet(camera, ray),
            Shape::Fence(fence) => fence.meet(camera, ray),
            Shape::Bin(bin) => bin.meet(camera, ray),
        }
    }

    /// Share of the pixel that the object hides at a hit: below 1 for fences and bare crowns.
    pub(super) fn coverage(&self, ray: Ray, hit: &Hit, pixel: f32) -> f32 {
        match &self.shape {
            Shape::Tree(tree) => tree.coverage(hit, pixel),
            Shape::Fence(fence) => fence.coverage(ray, hit, pixel),
            _ => 1.0,
        }
    }

    /// Light from a hit; `sunny` is the sun's visibility there.
    pub(super) fn shade(&self, light: &Light, ray: Ray, hit: &Hit, pixel: f32, sunny: f32) -> Vec3 {
        match &self.shape {
            Shape::Building(building) => building.shade(light, ray, hit, pixel, sunny),
            Shape::Car(car) => car.shade(light, ray, hit, pixel, sunny),
            Shape::Tree(tree) => tree.shade(light, hit, pixel, sunny),
            Shape::Person(person) => person.shade(light, hit, sunny),
            Shape::Pole(pole) => pole.shade(light, hit, sunny),
            Shape::Sign(sign) => sign.shade(light, hit, sunny),
            Shape::Fence(fence) => fence.shade(light, ray, hit, pixel, sunny),
            Shape::Bin(bin) => bin.shade(light, hit, sunny),
        }
    }

    /// The point at which the sun's visibility is asked for: the hit, moved off the surface.
    pub(super) fn exposed(&self, camera: &Camera, ray: Ray, hit: &Hit) -> Vec3 {
        let p = camera.at(ray, hit.t);
        match &self.shape {
            Shape::Building(building) => p + building.normal(hit) * 0.6,
            _ => p,
        }
    }
}
