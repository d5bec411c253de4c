//! Text to declarations: files are parsed, expressions evaluated, blocks checked against their schemas.

pub mod eval;
