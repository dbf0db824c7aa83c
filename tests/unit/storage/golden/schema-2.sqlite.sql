CREATE TABLE actions (
	tenant TEXT NOT NULL, 
	journal_id TEXT NOT NULL, 
	action_id TEXT NOT NULL, 
	pending SMALLINT NOT NULL, 
	requested_at BIGINT NOT NULL, 
	body BLOB NOT NULL, 
	kind TEXT, 
	PRIMARY KEY (tenant, journal_id, action_id)
);

CREATE INDEX actions_pending ON actions (tenant, requested_at, action_id) WHERE pending = 1;

CREATE TABLE blob_refs (
	tenant TEXT NOT NULL, 
	digest TEXT NOT NULL, 
	journal_id TEXT NOT NULL, 
	PRIMARY KEY (tenant, digest, journal_id)
);

CREATE INDEX blob_refs_journal ON blob_refs (tenant, journal_id, digest);

CREATE TABLE blobs (
	tenant TEXT NOT NULL, 
	digest TEXT NOT NULL, 
	body BLOB NOT NULL, 
	PRIMARY KEY (tenant, digest)
);

CREATE TABLE commands (
	tenant TEXT NOT NULL, 
	command_id TEXT NOT NULL, 
	digest TEXT NOT NULL, 
	outcome SMALLINT NOT NULL, 
	at BIGINT NOT NULL, 
	PRIMARY KEY (tenant, command_id)
);

CREATE INDEX commands_at ON commands (at);

CREATE TABLE effect_results (
	tenant TEXT NOT NULL, 
	journal_id TEXT NOT NULL, 
	call_id TEXT NOT NULL, 
	attempt BIGINT NOT NULL, 
	outcome BLOB, 
	facts BLOB, 
	PRIMARY KEY (tenant, journal_id, call_id, attempt)
);

CREATE TABLE erased (
	tenant TEXT NOT NULL, 
	journal_id TEXT NOT NULL, 
	PRIMARY KEY (tenant, journal_id)
);

CREATE TABLE lineage (
	tenant TEXT NOT NULL, 
	journal_id TEXT NOT NULL, 
	upto_seq BIGINT NOT NULL, 
	source_journal_id TEXT NOT NULL, 
	PRIMARY KEY (tenant, journal_id, upto_seq)
);

CREATE INDEX lineage_source ON lineage (tenant, source_journal_id, upto_seq);

CREATE TABLE mcp_servers (
	tenant TEXT NOT NULL, 
	journal_id TEXT NOT NULL, 
	name TEXT NOT NULL, 
	body BLOB NOT NULL, 
	PRIMARY KEY (tenant, journal_id, name)
);

CREATE TABLE meta (
	id INTEGER NOT NULL, 
	store_id TEXT NOT NULL, 
	secret TEXT NOT NULL, 
	schema_version INTEGER NOT NULL, 
	term BIGINT NOT NULL, 
	created_at BIGINT NOT NULL, 
	PRIMARY KEY (id)
);

CREATE TABLE outbox (
	tenant TEXT NOT NULL, 
	journal_id TEXT NOT NULL, 
	seq BIGINT NOT NULL, 
	target_journal_id TEXT NOT NULL, 
	body BLOB NOT NULL, 
	PRIMARY KEY (tenant, journal_id, seq)
);

CREATE INDEX outbox_receiver ON outbox (tenant, target_journal_id, journal_id, seq);

CREATE TABLE records (
	tenant TEXT NOT NULL, 
	journal_id TEXT NOT NULL, 
	seq BIGINT NOT NULL, 
	type TEXT NOT NULL, 
	at BIGINT NOT NULL, 
	epoch BIGINT NOT NULL, 
	cause TEXT, 
	digest TEXT, 
	body BLOB NOT NULL, 
	PRIMARY KEY (tenant, journal_id, seq)
);

CREATE UNIQUE INDEX records_cause ON records (tenant, journal_id, cause) WHERE digest IS NOT NULL;

CREATE INDEX records_spending ON records (tenant, at) WHERE type IN ('model.call.completed', 'model.call.failed');

CREATE TABLE sessions (
	tenant TEXT NOT NULL, 
	journal_id TEXT NOT NULL, 
	session_id TEXT NOT NULL, 
	session_key TEXT NOT NULL, 
	name TEXT NOT NULL, 
	name_key TEXT NOT NULL, 
	state TEXT NOT NULL, 
	activity TEXT NOT NULL, 
	model TEXT, 
	parent_id TEXT, 
	parent_journal_id TEXT, 
	root_journal_id TEXT, 
	head_seq BIGINT NOT NULL, 
	epoch BIGINT NOT NULL, 
	term BIGINT NOT NULL, 
	assignment_no BIGINT NOT NULL, 
	batch_id TEXT, 
	batch_from BIGINT NOT NULL, 
	open_turn TEXT, 
	queued BIGINT NOT NULL, 
	messages BIGINT NOT NULL, 
	turns BIGINT NOT NULL, 
	prompt_tokens BIGINT NOT NULL, 
	completion_tokens BIGINT NOT NULL, 
	total_tokens BIGINT NOT NULL, 
	cache_read_tokens BIGINT, 
	cache_write_tokens BIGINT, 
	cost_usd TEXT NOT NULL, 
	inherited_prompt_tokens BIGINT NOT NULL, 
	inherited_completion_tokens BIGINT NOT NULL, 
	inherited_total_tokens BIGINT NOT NULL, 
	inherited_cache_read_tokens BIGINT, 
	inherited_cache_write_tokens BIGINT, 
	inherited_cost_usd TEXT NOT NULL, 
	budget TEXT, 
	workspace_node TEXT, 
	task TEXT, 
	needs_actor SMALLINT NOT NULL, 
	wake_at BIGINT, 
	expires_at BIGINT, 
	created_at BIGINT NOT NULL, 
	updated_at BIGINT NOT NULL, 
	PRIMARY KEY (tenant, journal_id)
);

CREATE INDEX sessions_expires ON sessions (expires_at) WHERE expires_at IS NOT NULL;

CREATE UNIQUE INDEX sessions_key ON sessions (tenant, session_key);

CREATE INDEX sessions_needs_actor ON sessions (updated_at) WHERE needs_actor = 1;

CREATE INDEX sessions_parent ON sessions (tenant, parent_journal_id) WHERE parent_journal_id IS NOT NULL;

CREATE INDEX sessions_updated ON sessions (tenant, updated_at, journal_id);

CREATE INDEX sessions_wake ON sessions (wake_at) WHERE wake_at IS NOT NULL;

CREATE TABLE snapshots (
	tenant TEXT NOT NULL, 
	journal_id TEXT NOT NULL, 
	seq BIGINT NOT NULL, 
	version BIGINT NOT NULL, 
	epoch BIGINT NOT NULL, 
	body BLOB NOT NULL, 
	PRIMARY KEY (tenant, journal_id, seq)
);

