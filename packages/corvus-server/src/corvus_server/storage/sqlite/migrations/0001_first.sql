-- The schema of 0.1.  Times are seconds since 1970 (UTC); sizes are octets.
-- A content id is account id << 32 | serial: one account's rows lie together in every table and index, and a search
-- is a range of row numbers.

create table domains (
    id integer primary key,
    name text not null unique,
    created real not null,
    enabled integer not null default 1,
    catch_all text,
    strict_dmarc integer not null default 0
);

create table accounts (
    id integer primary key autoincrement,
    address text not null unique,
    domain text not null references domains (name),
    name text not null default '',
    password_hash text not null default '',
    seeded integer not null default 0,
    admin integer not null default 0,
    enabled integer not null default 1,
    quota integer not null default 0,
    used integer not null default 0,
    messages integer not null default 0,
    modseq integer not null default 1,               -- one for the whole account (R1)
    next_uid_validity integer not null default 1,    -- only grows (R3)
    next_serial integer not null default 1,
    created real not null,
    folder text not null unique
);
create index accounts_by_domain on accounts (domain);

create table aliases (
    address text primary key,
    domain text not null references domains (name),
    targets text not null,                           -- JSON list
    enabled integer not null default 1,
    created real not null
) without rowid;
create index aliases_by_domain on aliases (domain);

create table app_passwords (
    id integer primary key autoincrement,
    account_id integer not null references accounts (id) on delete cascade,
    name text not null,
    secrets text not null,                           -- JSON object
    scopes text not null,                            -- JSON list
    created real not null,
    last_used real,
    last_address text not null default ''
);
create index app_passwords_by_account on app_passwords (account_id);

create table logins (
    id integer primary key autoincrement,
    at real not null,
    address text not null,
    network text not null,
    ok integer not null,
    service text not null,
    mechanism text not null,
    client text not null
);
create index logins_by_address on logins (address, network, at);
create index logins_by_time on logins (at);

create table mailboxes (
    id integer primary key autoincrement,            -- MAILBOXID: never used again
    account_id integer not null references accounts (id) on delete cascade,
    name text not null,
    special_use text not null default '',
    uid_validity integer not null,
    uid_next integer not null default 1,
    modseq integer not null,
    messages integer not null default 0,
    unseen integer not null default 0,
    deleted integer not null default 0,
    octets integer not null default 0,
    recent_from integer not null default 1,
    horizon integer not null default 0,              -- tombstones up to this MODSEQ are gone (R4)
    created real not null,
    unique (account_id, name)
);

-- The largest UIDVALIDITY a name had when its mailbox went away (R3).
create table retired_names (
    account_id integer not null references accounts (id) on delete cascade,
    name text not null,
    uid_validity integer not null,
    primary key (account_id, name)
) without rowid;

create table subscriptions (
    account_id integer not null references accounts (id) on delete cascade,
    name text not null,
    primary key (account_id, name)
) without rowid;

create table annotations (
    account_id integer not null references accounts (id) on delete cascade,
    mailbox_id integer not null,                     -- 0: the server's annotations
    entry text not null,
    value blob not null,
    primary key (account_id, mailbox_id, entry)
) without rowid;

create table keywords (
    account_id integer not null references accounts (id) on delete cascade,
    folded text not null,
    name text not null,
    primary key (account_id, folded)
) without rowid;

create table keyword_sets (
    account_id integer not null references accounts (id) on delete cascade,
    id integer not null,
    names text not null,                             -- separated by spaces, sorted in lower case
    primary key (account_id, id),
    unique (account_id, names)
) without rowid;

create table messages (
    mailbox_id integer not null,
    uid integer not null,
    flags integer not null,                          -- keyword set << 8 | system flags
    modseq integer not null,
    size integer not null,
    content_id integer not null,
    internal_time integer not null,
    zone integer not null,                           -- minutes east of UTC
    saved_at integer not null,
    primary key (mailbox_id, uid)
) without rowid;
create index messages_by_content on messages (content_id);

create table tombstones (
    mailbox_id integer not null,
    modseq integer not null,
    first_uid integer not null,
    last_uid integer not null,
    at real not null,
    primary key (mailbox_id, modseq, first_uid)
) without rowid;

create table contents (
    id integer primary key,
    body_file text not null,
    prefix blob not null,
    size integer not null,
    header_size integer not null,
    thread_id integer not null,
    message_id text not null,
    sent_at real,
    sent_zone integer not null,
    has_attachment integer not null,
    verdict_id integer
);
create index contents_by_thread on contents (thread_id);
create index contents_by_verdict on contents (verdict_id) where verdict_id is not null;

create table envelopes (
    id integer primary key,
    internal_date blob not null,
    envelope blob not null
);

create table details (
    id integer primary key,
    bodystructure blob not null,
    header_fields blob,
    body blob not null,
    subject text not null,
    sender text not null,
    recipients text not null,
    cc text not null,
    preview text not null,
    parts text not null
);

-- Search keys (folded text) of the fields in the index below.
create table heads (
    id integer primary key,
    subject text not null,
    sender text not null,
    recipients text not null,
    cc text not null,
    bcc text not null
);
create virtual table head_index using fts5 (
    subject, sender, recipients, cc, bcc,
    content = 'heads', content_rowid = 'id', tokenize = 'trigram case_sensitive 1', columnsize = 0
);

-- Contents that lost their last message; taken away by the sweep after a grace period.
create table doomed (
    content_id integer primary key,
    since real not null
);

create table thread_refs (
    account_id integer not null references accounts (id) on delete cascade,
    ref integer not null,                            -- 64 bits of a hash of the Message-ID
    thread_id integer not null,
    primary key (account_id, ref)
) without rowid;

create table verdicts (
    id integer primary key autoincrement,
    created real not null,
    action text not null,
    sentence text not null,
    mail_from text not null,
    recipients text not null,                        -- JSON list
    client text not null,
    tree text not null                               -- JSON
);
create index verdicts_by_time on verdicts (created);

create table queue_entries (
    id integer primary key autoincrement,
    created real not null,
    mail_from text not null,
    size integer not null,
    prefix blob not null,
    body_file text not null,
    account_id integer,
    eight_bit integer not null,
    smtputf8 integer not null,
    require_tls integer not null,
    envelope_id text not null,
    return_content text not null,
    expires real,
    priority integer not null,
    notes text not null,                             -- JSON
    finished real
);
create index queue_entries_by_account on queue_entries (account_id);

create table queue_recipients (
    id integer primary key autoincrement,
    entry_id integer not null references queue_entries (id) on delete cascade,
    address text not null,
    domain text not null,
    state text not null,
    attempts integer not null default 0,
    next_attempt real not null,                      -- of a leased one: when the lease ends
    lease_until real,
    lease_token text,
    last_code integer not null default 0,
    last_enhanced text not null default '',
    last_text text not null default '',
    notify text not null,
    original text not null,
    delay_told integer not null default 0,
    finished real
);
create index queue_recipients_by_entry on queue_recipients (entry_id);
create index queue_recipients_due on queue_recipients (next_attempt) where state in ('waiting', 'leased');
create index queue_recipients_by_domain on queue_recipients (domain);
create index queue_recipients_by_token on queue_recipients (lease_token) where lease_token is not null;

create table attempts (
    id integer primary key autoincrement,
    entry_id integer not null references queue_entries (id) on delete cascade,
    number integer not null,
    started real not null,
    finished real not null,
    outcome text not null,
    recipients text not null,                        -- JSON list of recipient ids
    host text not null,
    address text not null,
    code integer not null,
    enhanced text not null,
    answer text not null,
    tls text not null,                               -- JSON
    details text not null,                           -- JSON
    dialogue text not null
);
create index attempts_by_entry on attempts (entry_id);

create table greylist (
    network text not null,
    domain text not null,
    first_seen real not null,
    last_seen real not null,
    deferred integer not null,
    passed integer not null,
    primary key (network, domain)
) without rowid;
create index greylist_by_time on greylist (last_seen);

create table web_sessions (
    digest blob primary key,
    account_id integer not null references accounts (id) on delete cascade,
    created real not null,
    expires real not null,
    last_seen real not null,
    client text not null,
    agent text not null,
    data text not null                               -- JSON
) without rowid;
create index web_sessions_by_account on web_sessions (account_id);
create index web_sessions_by_expiry on web_sessions (expires);

create table settings (
    key text primary key,
    value text not null                              -- JSON
) without rowid;

create table dkim_keys (
    id integer primary key,
    domain text not null,
    selector text not null,
    algorithm text not null,
    record text not null,
    sealed blob not null,                            -- AES-256-GCM, associated data: domain and selector (R14)
    active integer not null,
    created real not null,
    retired real,
    unique (domain, selector)
);
