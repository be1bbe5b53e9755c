//! How far incidents reach: their machines and tactics, which a list shows beside its rows.
//!
//! They lie in the picture's record of an incident, which is bounded; only those that a list shows are read.

use std::collections::HashMap;

use cresset_picture::IncidentId;
use serde::Deserialize;

use crate::error::StoreError;
use crate::sql::{Columns, Sql};
use crate::store::Store;

/// Ids of one query.
const IDS: usize = 250;

/// How far an incident reaches.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
pub struct Reach {
    /// The machines, the most frequent first.
    pub hosts: Vec<String>,
    /// How many machines are not listed.
    pub hosts_more: u64,
    /// The ATT&CK tactics, by name.
    pub tactics: Vec<String>,
}

impl Store {
    /// Returns how far incidents reach, by id; those that are not there are left out.
    pub async fn reach(&self, ids: &[IncidentId]) -> Result<HashMap<IncidentId, Reach>, StoreError> {
        let mut found = HashMap::new();
        for ids in ids.chunks(IDS) {
            let mut sql = Sql::new("select id, record from incidents where id in (");
            ids.iter().enumerate().for_each(|(at, id)| {
                sql.push(if at == 0 { "?" } else { ", ?" }).add_text(&id.to_string());
            });
            sql.push(")");
            for row in sql.rows(self.readers()).await? {
                found.insert(row.parsed("id", IncidentId::parse)?, row.json("record")?);
            }
        }
        Ok(found)
    }
}
