#[derive(Default)] pub struct Tree {}
