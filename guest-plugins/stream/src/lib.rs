//! stream
use sdk::*;
struct S;
impl Plugin for S {
    type Reader = NoReader;
    type Writer = NoWriter;
    fn describe() -> Description { Description { name: "stream".into(), version: "0".into(), summary: String::new(), types: vec![], metadata: vec![] } }
    fn requirements(_: &Configuration) -> Result<Vec<Requirement>> { Ok(vec![]) }
    fn check(_: &Configuration) -> Result<Vec<CheckStep>> { Ok(vec![]) }
}
sdk::export!(S);
