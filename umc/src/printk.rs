#[derive(Default)] pub struct Log {}
