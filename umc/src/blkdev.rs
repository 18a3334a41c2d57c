/// State of this subsystem in one kernel.
#[derive(Default)]
pub struct State {}
