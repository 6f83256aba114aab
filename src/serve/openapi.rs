use utoipa::openapi::security::{HttpAuthScheme, HttpBuilder, SecurityRequirement, SecurityScheme};
use utoipa::{Modify, OpenApi};

use super::error::Problem;
use super::facts::{ClassFacts, ModelFacts};
use super::routes::{self, Health, Images, Labels, NamedLabels};

/// The interface as a program can read it: OpenAPI 3.1.
#[derive(OpenApi)]
#[openapi(
    info(
        title = "dp-sims serve",
        description = "Semantic image synthesis: a label map in, a photo out.",
    ),
    paths(
        routes::generate,
        routes::labels,
        routes::segment,
        routes::model,
        routes::classes,
        routes::samples,
        routes::health,
        routes::metrics,
    ),
    components(schemas(ClassFacts, Health, Images, Labels, ModelFacts, NamedLabels, Problem)),
    modifiers(&Bearer),
)]
pub(super) struct Interface;

/// The token, which a server may go without.
struct Bearer;

impl Modify for Bearer {
    fn modify(&self, openapi: &mut utoipa::openapi::OpenApi) {
        const NAME: &str = "token";
        let scheme = HttpBuilder::new().scheme(HttpAuthScheme::Bearer).build();
        let components = openapi.components.get_or_insert_default();
        components.add_security_scheme(NAME, SecurityScheme::Http(scheme));
        let needed = SecurityRequirement::new(NAME, Vec::<String>::new());
        openapi.security = Some(vec![SecurityRequirement::default(), needed]);
    }
}
