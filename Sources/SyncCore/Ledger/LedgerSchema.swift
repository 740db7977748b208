import SQLite

/// The ledger's schema, step by step. Only ever append.
enum LedgerSchema {
  static var migrations: [Migration] {
    [
      Migration(
        "examinations, their history, lists",
        """
        CREATE TABLE examination (
          id INTEGER PRIMARY KEY,
          system TEXT NOT NULL,
          number TEXT NOT NULL,
          list TEXT,
          flag TEXT,
          portal_flag TEXT,
          digest INTEGER NOT NULL,
          referral TEXT, study_uid TEXT, patient_id TEXT,
          status TEXT NOT NULL, status_raw TEXT,
          modality TEXT, description TEXT, care_unit TEXT, scheduled TEXT,
          priority INTEGER NOT NULL,
          source TEXT,
          first_seen INTEGER NOT NULL, changed INTEGER NOT NULL,
          absences INTEGER NOT NULL DEFAULT 0, absence_snapshot TEXT,
          approved INTEGER NOT NULL DEFAULT 0,
          write_kind TEXT, write_flag TEXT, write_attempts INTEGER, write_first INTEGER,
          write_next INTEGER,
          images TEXT NOT NULL DEFAULT 'none',
          reason_code TEXT, reason_text TEXT,
          resolved_uid TEXT,
          archived INTEGER NOT NULL DEFAULT 0, expected INTEGER,
          held INTEGER NOT NULL DEFAULT 0,
          equal_digest TEXT, equal_since INTEGER, verified INTEGER,
          attempts INTEGER NOT NULL DEFAULT 0, next_attempt INTEGER,
          UNIQUE (system, number)
        ) STRICT;
        CREATE INDEX examination_number ON examination (number);
        CREATE TABLE history (
          id INTEGER PRIMARY KEY,
          examination INTEGER NOT NULL REFERENCES examination ON DELETE CASCADE,
          time INTEGER NOT NULL,
          event TEXT NOT NULL,
          detail TEXT NOT NULL
        ) STRICT;
        CREATE INDEX history_examination ON history (examination, id);
        CREATE INDEX history_time ON history (time);
        CREATE TABLE list (
          id TEXT PRIMARY KEY,
          last_size INTEGER NOT NULL,
          empty_snapshots INTEGER NOT NULL,
          empty_snapshot TEXT
        ) STRICT, WITHOUT ROWID;
        """),
      Migration(
        "the patient's name, for what is sent",
        """
        ALTER TABLE examination ADD COLUMN patient_name TEXT;
        ALTER TABLE examination ADD COLUMN recalled INTEGER NOT NULL DEFAULT 0;
        """),
    ]
  }
}
