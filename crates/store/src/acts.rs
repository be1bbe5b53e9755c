//! What people do: each act is one transaction that writes the change, the incident's history and the audit log.
//!
//! Acts that change the picture come with the incidents as the picture has them afterwards, and are replayed when it is rebuilt
//! ([`Store::replay`]); the others are kept beside it. An act on an incident that went up in another meanwhile is done to that.

use cresset_detect::DetectionId;
use cresset_event::hex;
use cresset_picture::{Incident, IncidentId, Link};
use serde_json::{Value, json};

use crate::audit::Detail;
use crate::bounds::{check_name, check_note};
use crate::detections::INSERT_ROWS;
use crate::error::StoreError;
use crate::history::Doer;
use crate::sql::{Columns, Sql, as_number};
use crate::store::{By, Store, Writing};
use crate::tokens::Issued;
use crate::tunings::{NewTuning, TuningKind};

/// Something that a person does.
#[derive(Debug, Clone, PartialEq)]
pub enum Act {
    /// Hands an incident to somebody, or to nobody.
    Assign {
        /// The incident.
        incident: IncidentId,
        /// Who works on it.
        owner: Option<String>,
    },
    /// Writes something down.
    Note {
        /// The incident.
        incident: IncidentId,
        /// What.
        text: String,
    },
    /// Says what is to be done.
    AddTask {
        /// The incident.
        incident: IncidentId,
        /// What.
        title: String,
    },
    /// Says that it was done.
    FinishTask {
        /// The task's number.
        task: u64,
    },
    /// Says that it is to be done after all.
    ReopenTask {
        /// The task's number.
        task: u64,
    },
    /// Moves an incident on, or closes it with a verdict.
    SetState {
        /// The incident, with its new state.
        incident: Box<Incident>,
        /// What is left out from now on because of it.
        exclude: Option<NewTuning>,
    },
    /// Makes two incidents one.
    Merge {
        /// The one that stays, as it is afterwards.
        into: Box<Incident>,
        /// The one that goes up in it.
        from: IncidentId,
        /// What links them, as the picture says.
        link: Link,
    },
    /// Makes an incident of some detections of another.
    Split {
        /// The one that they leave, as it is afterwards.
        from: Box<Incident>,
        /// The one that they are afterwards.
        into: Box<Incident>,
        /// They.
        detections: Vec<DetectionId>,
        /// Incidents that had gone up in the one ([`crate::IncidentPage::merged`]) and that the picture finds in the other now.
        regained: Vec<IncidentId>,
    },
    /// Adds a file. Its bytes are kept by the caller, under their digest.
    AddEvidence {
        /// The incident.
        incident: IncidentId,
        /// The digest of its bytes.
        sha256: [u8; 32],
        /// What it is called.
        name: String,
        /// How long it is.
        bytes: u64,
    },
    /// Adds an exclusion or a silence.
    AddTuning(NewTuning),
    /// Takes an exclusion or a silence back.
    RemoveTuning {
        /// Which kind.
        kind: TuningKind,
        /// Its id.
        id: String,
    },
    /// Puts another list of assets in force.
    SetAssets {
        /// What it is written in: `toml` or `csv`.
        form: String,
        /// The list.
        text: String,
        /// Incidents whose priority it changes, as they are afterwards.
        changed: Vec<Incident>,
    },
    /// Issues a token.
    IssueToken(Box<Issued>),
    /// Takes a token back.
    RevokeToken {
        /// Its id.
        id: String,
    },
    /// What is done elsewhere, such as a file that is written, and here only audited.
    Noted {
        /// What, as a word.
        what: &'static str,
        /// To what.
        object: String,
        /// The digest of the file.
        sha256: Option<[u8; 32]>,
    },
}

/// An act that was done.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Acted {
    /// Its number: that of the note, task or evidence that it made.
    pub seq: u64,
    /// The incident that it was done to.
    pub incident: Option<IncidentId>,
}

impl Store {
    /// Does an act. Once this returns it is on the disk.
    pub async fn act(&self, by: &By, act: &Act) -> Result<Acted, StoreError> {
        let mut writing = self.write(act.rows()).await?;
        let acted = do_act(&mut writing, by, act).await?;
        writing.commit().await?;
        Ok(acted)
    }
}

impl Act {
    /// Returns how many row numbers it takes: its own, and one for each incident that it may open.
    pub(crate) fn rows(&self) -> usize {
        match self {
            Self::SetState { .. } | Self::Merge { .. } => 2,
            Self::Split { .. } => 3,
            Self::SetAssets { changed, .. } => 1 + changed.len(),
            _ => 1,
        }
    }
}

/// Does an act within a transaction that took [`Act::rows`] numbers.
pub(crate) async fn do_act(writing: &mut Writing<'_>, by: &By, act: &Act) -> Result<Acted, StoreError> {
    let incident = match act {
        Act::Assign { incident, owner } => writing.assign(by, *incident, owner.as_deref()).await?,
        Act::Note { incident, text } => writing.note(by, *incident, text).await?,
        Act::AddTask { incident, title } => writing.add_task(by, *incident, title).await?,
        Act::FinishTask { task } => writing.finish_task(by, *task).await?,
        Act::ReopenTask { task } => writing.reopen_task(by, *task).await?,
        Act::SetState { incident, exclude } => {
            if let Some(exclude) = exclude {
                writing.add_tuning(by, exclude).await?;
            }
            writing.set_state(by, incident).await?
        }
        Act::Merge { into, from, link } => writing.merge_by_hand(by, into, *from, link).await?,
        Act::Split { from, into, detections, regained } => {
            writing.split(by, from, into, detections).await?;
            writing.regain(from.id, into.id, regained).await?
        }
        Act::AddEvidence { incident, sha256, name, bytes } => {
            writing.add_evidence(by, *incident, &hex(sha256), name, *bytes).await?
        }
        Act::AddTuning(new) => return writing.add_tuning(by, new).await,
        Act::RemoveTuning { kind, id } => return writing.remove_tuning(by, *kind, id).await,
        Act::SetAssets { form, text, changed } => return writing.set_assets(by, form, text, changed).await,
        Act::IssueToken(issued) => return writing.issue_token(by, issued).await,
        Act::RevokeToken { id } => return writing.revoke_token(by, id).await,
        Act::Noted { what, object, sha256 } => return writing.note_act(by, what, object, sha256.as_ref()).await,
    };
    Ok(Acted { incident: Some(incident), ..writing.acted() })
}

/// Whether a task is done.
#[derive(Clone, Copy)]
enum IsDone {
    Yes,
    No,
}

impl Writing<'_> {
    /// Returns what was done to no incident.
    pub(crate) fn acted(&self) -> Acted {
        Acted { seq: self.first.unsigned_abs(), incident: None }
    }

    /// Tells the audit log of what is done elsewhere.
    async fn note_act(
        &mut self,
        by: &By,
        what: &str,
        object: &str,
        sha256: Option<&[u8; 32]>,
    ) -> Result<Acted, StoreError> {
        check_name("the name", object)?;
        let detail = sha256.map_or_else(Detail::default, |sha256| Detail::default().id("sha256", hex(sha256)));
        self.audit(by, what, object, detail).await?;
        Ok(self.acted())
    }

    async fn assign(&mut self, by: &By, incident: IncidentId, owner: Option<&str>) -> Result<IncidentId, StoreError> {
        check_name("the owner's name", owner.unwrap_or_default())?;
        let incident = self.living(incident).await?;
        let sql = Sql::new("update incidents set owner = ? where id = ?").text_or_null(owner);
        self.run(sql.text(&incident.to_string())).await?;
        let doer = Doer::beside_the_picture(&by.actor);
        self.history(self.first, incident, by.at, &doer, "assign", &json!({ "owner": owner })).await?;
        let detail = owner.map_or_else(Detail::default, |owner| Detail::default().hidden("owner", owner));
        self.audit(by, "assign", &incident.to_string(), detail).await?;
        Ok(incident)
    }

    async fn note(&mut self, by: &By, incident: IncidentId, text: &str) -> Result<IncidentId, StoreError> {
        check_note(text)?;
        let incident = self.living(incident).await?;
        let insert = Sql::new("insert into notes (seq, incident, at, author, text) values (?, ?, ?, ?, ?)");
        self.run(self.begin_row(insert, incident, by).text(text)).await?;
        self.tell(by, incident, "note", json!({}), Detail::default().hidden("text", text)).await
    }

    async fn add_task(&mut self, by: &By, incident: IncidentId, title: &str) -> Result<IncidentId, StoreError> {
        check_name("the task", title)?;
        let incident = self.living(incident).await?;
        let insert = Sql::new("insert into tasks (seq, incident, at, author, title) values (?, ?, ?, ?, ?)");
        self.run(self.begin_row(insert, incident, by).text(title)).await?;
        self.tell(by, incident, "add_task", json!({}), Detail::default().hidden("title", title)).await
    }

    async fn finish_task(&mut self, by: &By, task: u64) -> Result<IncidentId, StoreError> {
        let incident = self.incident_of_task(task, IsDone::No).await?;
        let sql = Sql::new("update tasks set done_at = ?, done_by = ? where seq = ?").time(by.at).text(&by.actor);
        self.run(sql.number(as_number(task))).await?;
        self.tell(by, incident, "finish_task", json!({ "task": task }), Detail::default().number("task", task)).await
    }

    async fn reopen_task(&mut self, by: &By, task: u64) -> Result<IncidentId, StoreError> {
        let incident = self.incident_of_task(task, IsDone::Yes).await?;
        let sql = Sql::new("update tasks set done_at = null, done_by = null where seq = ?").number(as_number(task));
        self.run(sql).await?;
        self.tell(by, incident, "reopen_task", json!({ "task": task }), Detail::default().number("task", task)).await
    }

    /// Returns the incident of a task that is done, or is not.
    async fn incident_of_task(&mut self, task: u64, expected: IsDone) -> Result<IncidentId, StoreError> {
        let sql = Sql::new("select incident, done_at from tasks where seq = ?").number(as_number(task));
        let row = self.row(sql).await?.ok_or_else(|| StoreError::not_found("task", task))?;
        match (row.number_or_null("done_at")?, expected) {
            (Some(_), IsDone::No) => Err(StoreError::conflict(format!("task {task} is done already"))),
            (None, IsDone::Yes) => Err(StoreError::conflict(format!("task {task} is not done"))),
            _ => self.living(row.parsed("incident", IncidentId::parse)?).await,
        }
    }

    async fn add_evidence(
        &mut self,
        by: &By,
        incident: IncidentId,
        sha256: &str,
        name: &str,
        bytes: u64,
    ) -> Result<IncidentId, StoreError> {
        check_name("the file's name", name)?;
        let incident = self.living(incident).await?;
        let insert =
            "insert into evidence (seq, incident, at, author, sha256, name, bytes) values (?, ?, ?, ?, ?, ?, ?)";
        let sql = self.begin_row(Sql::new(insert), incident, by);
        self.run(sql.text(sha256).text(name).number(as_number(bytes))).await?;
        let detail = Detail::default().id("sha256", sha256).hidden("name", name).number("bytes", bytes);
        self.tell(by, incident, "add_evidence", json!({ "sha256": sha256 }), detail).await
    }

    async fn set_state(&mut self, by: &By, incident: &Incident) -> Result<IncidentId, StoreError> {
        self.must_live(incident.id).await?;
        self.save_incidents(self.first + 1, std::slice::from_ref(incident)).await?;
        let detail = json!({ "state": incident.state });
        let told = Detail::default().id("state", incident.state);
        self.tell_picture(by, incident.id, "set_state", detail, told).await
    }

    async fn merge_by_hand(
        &mut self,
        by: &By,
        into: &Incident,
        from: IncidentId,
        link: &Link,
    ) -> Result<IncidentId, StoreError> {
        if into.id == from {
            return Err(StoreError::conflict("an incident cannot go up in itself: name another one"));
        }
        self.must_live(into.id).await?;
        self.must_live(from).await?;
        self.save_incidents(self.first + 1, std::slice::from_ref(into)).await?;
        self.merge(into.id, from).await?;
        let detail = json!({ "from": from, "link": link });
        self.tell_picture(by, into.id, "merge", detail, Detail::default().id("from", from)).await
    }

    async fn split(
        &mut self,
        by: &By,
        from: &Incident,
        into: &Incident,
        detections: &[DetectionId],
    ) -> Result<(), StoreError> {
        self.must_live(from.id).await?;
        self.save_incidents(self.first + 1, &[from.clone(), into.clone()]).await?;
        self.move_detections(from.id, into.id, detections).await?;
        let detections: Vec<String> = detections.iter().map(ToString::to_string).collect();
        let detail = json!({ "into": into.id, "detections": detections });
        let told = Detail::default().id("into", into.id).number("detections", detections.len() as u64);
        self.tell_picture(by, from.id, "split", detail, told).await.map(|_| ())
    }

    /// Lets what went up in one incident be found in the other.
    async fn regain(
        &mut self,
        from: IncidentId,
        into: IncidentId,
        regained: &[IncidentId],
    ) -> Result<IncidentId, StoreError> {
        // The other itself may be one that went up and is there again.
        for id in regained.iter().filter(|id| **id != into) {
            let sql = Sql::new("update incidents set merged_into = ? where id = ? and merged_into = ?");
            self.run(sql.text(&into.to_string()).text(&id.to_string()).text(&from.to_string())).await?;
        }
        Ok(from)
    }

    async fn move_detections(
        &mut self,
        from: IncidentId,
        into: IncidentId,
        detections: &[DetectionId],
    ) -> Result<(), StoreError> {
        for ids in detections.chunks(INSERT_ROWS) {
            let mut sql = Sql::new("update detections set incident = ? where incident = ? and id in (");
            sql.add_text(&into.to_string()).add_text(&from.to_string());
            for (at, id) in ids.iter().enumerate() {
                sql.push(if at == 0 { "?" } else { ", ?" }).add_text(&id.to_string());
            }
            sql.push(")");
            if self.run(sql).await? != ids.len() as u64 {
                return Err(StoreError::conflict(format!(
                    "not all of these detections are in `{from}`: look at it again"
                )));
            }
        }
        Ok(())
    }

    /// Binds what every row begins with that hangs on an incident.
    fn begin_row(&self, insert: Sql, incident: IncidentId, by: &By) -> Sql {
        insert.number(self.first).text(&incident.to_string()).time(by.at).text(&by.actor)
    }

    /// Tells history and audit log of what was done beside the picture.
    async fn tell(
        &mut self,
        by: &By,
        incident: IncidentId,
        act: &str,
        detail: Value,
        told: Detail,
    ) -> Result<IncidentId, StoreError> {
        self.tell_of(by, &Doer::beside_the_picture(&by.actor), incident, act, detail, told).await
    }

    /// Tells history and audit log of what was done in the picture.
    async fn tell_picture(
        &mut self,
        by: &By,
        incident: IncidentId,
        act: &str,
        detail: Value,
        told: Detail,
    ) -> Result<IncidentId, StoreError> {
        self.tell_of(by, &Doer::in_the_picture(&by.actor), incident, act, detail, told).await
    }

    async fn tell_of(
        &mut self,
        by: &By,
        doer: &Doer<'_>,
        incident: IncidentId,
        act: &str,
        detail: Value,
        told: Detail,
    ) -> Result<IncidentId, StoreError> {
        self.history(self.first, incident, by.at, doer, act, &detail).await?;
        self.audit(by, act, &incident.to_string(), told).await?;
        Ok(incident)
    }

    /// Returns the incident, or the one that it went up in.
    async fn living(&mut self, incident: IncidentId) -> Result<IncidentId, StoreError> {
        let sql = Sql::new("select coalesce(merged_into, id) as living from incidents where id = ?");
        let row = self.row(sql.text(&incident.to_string())).await?;
        row.ok_or_else(|| StoreError::not_found("incident", incident))?.parsed("living", IncidentId::parse)
    }

    /// Refuses an incident that went up in another: the picture does not have it any more.
    async fn must_live(&mut self, incident: IncidentId) -> Result<(), StoreError> {
        match self.living(incident).await? {
            living if living == incident => Ok(()),
            living => Err(StoreError::conflict(format!("`{incident}` went up in `{living}`: take that one"))),
        }
    }
}
