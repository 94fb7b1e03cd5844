//! Rate limits in axum and tower applications: the fields that clients are told, a layer, and where a request comes from.

mod address;
mod fields;
mod layer;
mod rejection;

pub use address::TrustedProxies;
pub use fields::Fields;
pub use layer::{RateLimitLayer, RateLimitService, RateLimited};
pub use rejection::{QUOTA_EXCEEDED, RateLimitRejection};
