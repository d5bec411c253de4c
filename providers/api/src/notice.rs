//! What a far side tells by itself, so that nobody has to look all the time.

use futures::stream::BoxStream;

use crate::{ObjectId, ProviderError};

/// What a far side tells by itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Notice {
    /// It tells from now on. What happened before is only seen by who looks.
    Listening,
    /// Something happened to an object, of this fleet or of others, by somebody's doing or by itself. What it is now is seen by
    /// who looks.
    Happened(ObjectId),
}

/// What a far side tells, until it cannot any more; then the last item says why. Dropping it ends that.
///
/// The first item is [`Notice::Listening`]. Whoever looks after that item and sees every notice since misses nothing of what
/// the far side knows of: it does not look into what runs there by itself.
pub type Notices<'a> = BoxStream<'a, Result<Notice, ProviderError>>;
