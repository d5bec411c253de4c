//! How a test rules over a cloud that is a process of its own.

use hyper::Method;

use crate::calls::{Fields, Record};
use crate::client::{Authority, ClientError};
use crate::cloud::Entry;
use crate::faults::Faults;
use crate::gateway::{Hold, HoldId, HoldState};

/// The control calls of a cloud; see [`crate::server`].
#[derive(Debug, Clone)]
pub struct Control {
    authority: Authority,
}

impl Control {
    /// Makes a client of the cloud at an endpoint `http://127.0.0.1:PORT`. Nothing is sent yet.
    pub fn new(endpoint: &str) -> Result<Self, ClientError> {
        Ok(Control {
            authority: Authority::new(endpoint)?,
        })
    }

    /// Sets what goes wrong from now on.
    pub async fn set_faults(&self, faults: &Faults) -> Result<Faults, ClientError> {
        self.authority.send(Method::PUT, "/faults", faults).await
    }

    /// Returns every object of every lineage, as the cloud keeps it.
    pub async fn objects(&self) -> Result<Vec<Record>, ClientError> {
        self.authority.send(Method::GET, "/objects", &()).await
    }

    /// Returns the names of the operations that go on.
    pub async fn pending(&self) -> Result<Vec<String>, ClientError> {
        self.authority.send(Method::GET, "/operations", &()).await
    }

    /// Returns all that happened, oldest first.
    pub async fn log(&self) -> Result<Vec<Entry>, ClientError> {
        self.authority.send(Method::GET, "/log", &()).await
    }

    /// Changes attributes of an object behind the caller's back; `null` removes one. Returns whether it is there.
    pub async fn change(&self, id: &str, fields: &Fields) -> Result<bool, ClientError> {
        self.authority
            .send(Method::PATCH, &format!("/objects/{id}"), fields)
            .await
    }

    /// Deletes an object behind the caller's back. Returns whether it was there.
    pub async fn destroy(&self, id: &str) -> Result<bool, ClientError> {
        self.authority
            .send(Method::DELETE, &format!("/objects/{id}"), &())
            .await
    }

    /// Stops a call that is yet to come.
    pub async fn hold(&self, hold: &Hold) -> Result<HoldId, ClientError> {
        self.authority.send(Method::POST, "/holds", hold).await
    }

    /// Waits until the call has come and is stopped, or the hold is released. `None` where there is no such hold.
    pub async fn held(&self, id: HoldId) -> Result<Option<HoldState>, ClientError> {
        self.authority.send(Method::GET, &format!("/holds/{}", id.0), &()).await
    }

    /// Lets the call go on. Returns whether there is such a hold.
    pub async fn release(&self, id: HoldId) -> Result<bool, ClientError> {
        self.authority
            .send(Method::POST, &format!("/holds/{}/release", id.0), &())
            .await
    }
}
