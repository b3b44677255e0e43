//! Changing the limits and the restart policy of a container.

use crate::{
    actor::Until,
    engine::Engine,
    error::Result,
    host_config::{Machine, check_update},
    machine::Input,
};
use brig_api::{ContainerUpdateRequest, ContainerUpdateResponse};

impl Engine {
    /// Changes a container's limits and its restart policy, those of one that runs at once.
    ///
    /// # Errors
    /// What Docker refuses, in its words; a limit that the kernel refuses, of which nothing is kept then.
    pub async fn container_update(
        &self,
        name: &str,
        mut request: ContainerUpdateRequest,
    ) -> Result<ContainerUpdateResponse> {
        let warnings = check_update(&mut request, Machine::get())?;
        let handle = self.core().registry.resolve(name)?;
        let updated = handle.act(Input::Update(Box::new(request)), Until::Done).await;
        updated.map_err(|e| e.context(format!("Cannot update container {}", handle.id())))?;
        Ok(ContainerUpdateResponse { warnings: Some(warnings).filter(|all| !all.is_empty()) })
    }
}
