//! The error funnel: every failure, whoever met it, becomes one response here.
