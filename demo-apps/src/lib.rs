//! What the demo programs share: their command line and how they serve.
