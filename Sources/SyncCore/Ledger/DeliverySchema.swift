import SQLite

/// The schema of what is sent, step by step. Only ever append.
///
/// The queues are partial indexes, so that a history of a million costs them nothing; what is
/// counted for show is counted by triggers, so that nobody ever counts a table.
enum DeliverySchema {
  static var migrations: [Migration] {
    [
      Migration(
        "assignments, jobs, objects, inbound messages",
        """
        CREATE TABLE installation (id TEXT NOT NULL, messages INTEGER NOT NULL) STRICT;
        INSERT INTO installation VALUES (lower(hex(randomblob(4))), 0);
        CREATE TABLE assignment (
          id INTEGER PRIMARY KEY AUTOINCREMENT,
          kind TEXT NOT NULL,
          system TEXT NOT NULL, number TEXT NOT NULL,
          referral TEXT, study_uid TEXT, patient_id TEXT, patient_name TEXT, birth_date TEXT,
          sex TEXT, care_unit TEXT, modality TEXT, description TEXT, scheduled TEXT,
          list TEXT, flag TEXT, source TEXT,
          recipient TEXT NOT NULL, destination TEXT NOT NULL, origin TEXT, orders TEXT,
          review TEXT NOT NULL, priority INTEGER NOT NULL, message TEXT, priors TEXT,
          forced TEXT, previously_sent INTEGER NOT NULL, ordered_by TEXT NOT NULL,
          ordered_at INTEGER NOT NULL,
          phase TEXT NOT NULL, answer TEXT NOT NULL DEFAULT 'none',
          answers INTEGER NOT NULL DEFAULT 0, cancelled INTEGER NOT NULL DEFAULT 0,
          held INTEGER NOT NULL DEFAULT 0, delivered INTEGER NOT NULL DEFAULT 0,
          disclosed INTEGER NOT NULL DEFAULT 0,
          ended INTEGER NOT NULL DEFAULT 0, failed INTEGER NOT NULL DEFAULT 0,
          supplementable INTEGER NOT NULL DEFAULT 0,
          changed INTEGER NOT NULL, ended_at INTEGER, purged INTEGER NOT NULL DEFAULT 0
        ) STRICT;
        CREATE UNIQUE INDEX assignment_active ON assignment (system, number, recipient)
          WHERE ended = 0;
        CREATE INDEX assignment_number ON assignment (number);
        CREATE INDEX assignment_failed ON assignment (id) WHERE failed = 1;
        CREATE INDEX assignment_open ON assignment (id) WHERE ended = 0;
        CREATE INDEX assignment_unpurged ON assignment (ended_at)
          WHERE ended = 1 AND purged = 0;
        CREATE INDEX assignment_ended ON assignment (ended_at) WHERE ended = 1;
        CREATE TABLE job (
          id INTEGER PRIMARY KEY AUTOINCREMENT,
          assignment INTEGER NOT NULL REFERENCES assignment ON DELETE CASCADE,
          step TEXT NOT NULL, place INTEGER NOT NULL,
          endpoint TEXT NOT NULL,
          state TEXT NOT NULL,
          arrived INTEGER NOT NULL DEFAULT 0, unknown INTEGER NOT NULL DEFAULT 0,
          attempts INTEGER NOT NULL DEFAULT 0, tries INTEGER NOT NULL DEFAULT 0,
          next_attempt INTEGER, pause INTEGER, rank INTEGER NOT NULL,
          control_id TEXT, payload BLOB,
          flag TEXT, result TEXT, reason TEXT, owner TEXT,
          study_uid TEXT, number TEXT NOT NULL,
          total INTEGER NOT NULL DEFAULT 0, done INTEGER NOT NULL DEFAULT 0,
          refused INTEGER NOT NULL DEFAULT 0,
          created INTEGER NOT NULL, changed INTEGER NOT NULL,
          UNIQUE (assignment, step, place)
        ) STRICT;
        CREATE INDEX job_ready ON job (endpoint, rank) WHERE state = 'ready';
        CREATE INDEX job_waiting ON job (next_attempt) WHERE state = 'waiting';
        CREATE INDEX job_running ON job (changed) WHERE state = 'running';
        CREATE INDEX job_unsettled ON job (changed) WHERE state IN ('ready', 'waiting');
        CREATE TABLE object (
          job INTEGER NOT NULL REFERENCES job ON DELETE CASCADE,
          uid TEXT NOT NULL,
          places INTEGER NOT NULL,
          status INTEGER,
          PRIMARY KEY (job, uid)
        ) STRICT, WITHOUT ROWID;
        CREATE TABLE event (
          id INTEGER PRIMARY KEY,
          assignment INTEGER NOT NULL REFERENCES assignment ON DELETE CASCADE,
          time INTEGER NOT NULL, event TEXT NOT NULL, detail TEXT NOT NULL
        ) STRICT;
        CREATE INDEX event_assignment ON event (assignment, id);
        CREATE TABLE inbound (
          id INTEGER PRIMARY KEY AUTOINCREMENT,
          received INTEGER NOT NULL,
          sender TEXT NOT NULL, control_id TEXT NOT NULL, digest BLOB NOT NULL,
          type TEXT NOT NULL, assignment INTEGER, place INTEGER, reason TEXT, payload BLOB,
          UNIQUE (sender, control_id, digest)
        ) STRICT;
        CREATE INDEX inbound_aside ON inbound (id) WHERE assignment IS NULL;
        CREATE INDEX inbound_received ON inbound (received);
        CREATE INDEX inbound_assignment ON inbound (assignment) WHERE assignment IS NOT NULL;
        CREATE TABLE endpoint (
          name TEXT PRIMARY KEY, paused_by TEXT NOT NULL, paused_at INTEGER NOT NULL
        ) STRICT, WITHOUT ROWID;

        CREATE TABLE tally (
          subject TEXT NOT NULL, state TEXT NOT NULL, count INTEGER NOT NULL,
          PRIMARY KEY (subject, state)
        ) STRICT, WITHOUT ROWID;
        CREATE TRIGGER job_added AFTER INSERT ON job BEGIN
          INSERT INTO tally VALUES (NEW.endpoint, NEW.state, 1)
            ON CONFLICT DO UPDATE SET count = count + 1;
        END;
        CREATE TRIGGER job_removed AFTER DELETE ON job BEGIN
          UPDATE tally SET count = count - 1 WHERE subject = OLD.endpoint AND state = OLD.state;
        END;
        CREATE TRIGGER job_moved AFTER UPDATE OF state ON job WHEN OLD.state <> NEW.state BEGIN
          UPDATE tally SET count = count - 1 WHERE subject = OLD.endpoint AND state = OLD.state;
          INSERT INTO tally VALUES (NEW.endpoint, NEW.state, 1)
            ON CONFLICT DO UPDATE SET count = count + 1;
        END;
        CREATE TRIGGER assignment_added AFTER INSERT ON assignment BEGIN
          INSERT INTO tally VALUES ('phase', NEW.phase, 1)
            ON CONFLICT DO UPDATE SET count = count + 1;
          INSERT INTO tally VALUES ('open', NEW.ended, 1)
            ON CONFLICT DO UPDATE SET count = count + 1;
        END;
        CREATE TRIGGER assignment_removed AFTER DELETE ON assignment BEGIN
          UPDATE tally SET count = count - 1 WHERE subject = 'phase' AND state = OLD.phase;
          UPDATE tally SET count = count - 1 WHERE subject = 'open' AND state = OLD.ended;
          UPDATE tally SET count = count - 1
            WHERE subject = 'failed' AND state = '1' AND OLD.failed = 1;
        END;
        CREATE TRIGGER assignment_moved AFTER UPDATE OF phase ON assignment
          WHEN OLD.phase <> NEW.phase BEGIN
          UPDATE tally SET count = count - 1 WHERE subject = 'phase' AND state = OLD.phase;
          INSERT INTO tally VALUES ('phase', NEW.phase, 1)
            ON CONFLICT DO UPDATE SET count = count + 1;
        END;
        CREATE TRIGGER assignment_closed AFTER UPDATE OF ended ON assignment
          WHEN OLD.ended <> NEW.ended BEGIN
          UPDATE tally SET count = count - 1 WHERE subject = 'open' AND state = OLD.ended;
          INSERT INTO tally VALUES ('open', NEW.ended, 1)
            ON CONFLICT DO UPDATE SET count = count + 1;
        END;
        CREATE TRIGGER assignment_failing AFTER UPDATE OF failed ON assignment
          WHEN OLD.failed <> NEW.failed BEGIN
          INSERT INTO tally VALUES ('failed', '1', NEW.failed - OLD.failed)
            ON CONFLICT DO UPDATE SET count = count + NEW.failed - OLD.failed;
        END;
        CREATE TRIGGER assignment_holding AFTER UPDATE OF held ON assignment
          WHEN OLD.held <> NEW.held BEGIN
          INSERT INTO tally VALUES ('held', '1', NEW.held - OLD.held)
            ON CONFLICT DO UPDATE SET count = count + NEW.held - OLD.held;
        END;
        """),
      Migration(
        "orders of the portal",
        """
        ALTER TABLE assignment ADD COLUMN portal_id TEXT;
        CREATE UNIQUE INDEX assignment_portal ON assignment (portal_id)
          WHERE portal_id IS NOT NULL;
        """),
    ]
  }
}
