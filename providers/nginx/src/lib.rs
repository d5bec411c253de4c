//! The provider `nginx`: an upstream, and the servers that are in it.
//!
//! A configured provider is one file of one nginx. The file is an object of the kind `upstream`, and each line of it that
//! names a server is one of the kind `server`: so each member of a pool that enters or leaves is an intent of its own in the
//! journal, and the one file can be written as often as a walk needs it.
//!
//! - [`schema`]: the settings and the kinds; `settings`: the former in their types
//! - `file`: the text of the file, and what it says
//! - `edit`: what is changed in it
//! - `script`: how it is put in the place of the old one; `place`: where that is done
//! - `connections`: who is still connected to a server that left
//! - `provider`: the provider

mod connections;
mod edit;
mod file;
mod place;
mod provider;
pub mod schema;
mod script;
mod settings;

pub use provider::NginxType;
