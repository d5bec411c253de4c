//! The boundary between simfleet and its providers.
//!
//! - [`value`], [`number`], [`ty`]: the values of the fleet language, and their types
//! - [`convert`], [`json`]: values as others need them
//! - [`address`]: how resources are named
//! - [`attributes`]: what an object holds, and paths into it
//! - [`encoding`]: values as JSON documents, for state and saved plans
//! - [`schema`]: what is known of a kind without any configuration
//! - [`process`]: the kind that several providers have alike; [`ssh`]: the logins that several have
//! - [`provider`]: the traits, and the words they use; [`limits`]: how much is asked of one at once; [`progress`]: how far a call is
//! - [`runtime`]: what is done by hand with something that runs; [`meter`]: how much of what it may use it uses
//! - [`notice`]: what a far side tells by itself
//! - `conformance` (feature of that name): the suite that every provider passes

pub mod address;
pub mod attributes;
#[cfg(feature = "conformance")]
pub mod conformance;
pub mod convert;
pub mod encoding;
pub mod json;
pub mod limits;
pub mod meter;
pub mod notice;
pub mod number;
pub mod process;
pub mod progress;
pub mod provider;
pub mod runtime;
pub mod schema;
pub mod ssh;
pub mod ty;
pub mod value;

pub use address::{Address, AddressError, Key, ModuleStep};
pub use attributes::{Attributes, Path, PathStep};
pub use convert::{ConvertError, convert};
pub use limits::{Limits, Rate};
pub use meter::{Meter, Metric};
pub use notice::{Notice, Notices};
pub use number::{Number, NumberError};
pub use provider::{
    Context, Found, Handle, Hosting, Object, ObjectId, Observed, Price, Provider, ProviderError, ProviderType, Step,
    Token,
};
pub use runtime::{Ability, Act, Runtime};
pub use schema::{Attribute, ChangeEffect, Kind, Mode, Problem, ProviderName, Schema};
pub use ty::{Field, Presence, Type};
pub use value::{Data, Digest, Unknown, Value};
