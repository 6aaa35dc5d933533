CREATE TABLE table_registry_version (
	version_num VARCHAR(32) NOT NULL,
	CONSTRAINT table_registry_version_pkc PRIMARY KEY (version_num)
);
CREATE TABLE "registry_info" (
	id INTEGER NOT NULL,
	generation INTEGER NOT NULL,
	uuid VARCHAR NOT NULL,
	PRIMARY KEY (id)
);
CREATE TABLE node_leases (
	node_id INTEGER NOT NULL,
	job_id BIGINT NOT NULL,
	leased_at DATETIME NOT NULL,
	PRIMARY KEY (node_id),
	UNIQUE (job_id)
);
CREATE TABLE sessions (
	session_id BIGINT NOT NULL,
	parent_id BIGINT,
	node_id INTEGER NOT NULL,
	tags JSON NOT NULL,
	host_id VARCHAR,
	host_name VARCHAR,
	pid INTEGER,
	process_started DOUBLE,
	boot_id VARCHAR,
	pid_namespace VARCHAR,
	user_name VARCHAR,
	fence BIGINT NOT NULL,
	started_at DATETIME NOT NULL,
	heartbeat_at DATETIME NOT NULL,
	ended_at DATETIME,
	state VARCHAR NOT NULL,
	reaper_id BIGINT,
	ttl_seconds DOUBLE NOT NULL,
	max_refs INTEGER NOT NULL,
	max_bytes BIGINT, preservation VARCHAR,
	PRIMARY KEY (session_id)
);
CREATE INDEX ix_sessions_parent_id ON sessions (parent_id);
CREATE INDEX ix_sessions_node_id ON sessions (node_id);
CREATE TABLE table_claims (
	database_identity VARCHAR NOT NULL,
	table_name VARCHAR NOT NULL,
	session_id BIGINT NOT NULL,
	claimed_at DATETIME NOT NULL,
	PRIMARY KEY (database_identity, table_name, session_id)
);
CREATE INDEX ix_table_claims_session_id ON table_claims (session_id);
CREATE TABLE share_tokens (
	token_hash VARCHAR NOT NULL,
	database_identity VARCHAR NOT NULL,
	table_name VARCHAR NOT NULL,
	session_id BIGINT NOT NULL,
	created_at DATETIME NOT NULL,
	expires_at DATETIME NOT NULL,
	PRIMARY KEY (token_hash)
);
CREATE INDEX ix_share_tokens_session_id ON share_tokens (session_id);
CREATE TABLE session_databases (
	session_id BIGINT NOT NULL,
	database_identity VARCHAR NOT NULL,
	opened_at DATETIME NOT NULL,
	PRIMARY KEY (session_id, database_identity)
);
CREATE TABLE "table_registry" (
	database_identity VARCHAR NOT NULL,
	table_name VARCHAR NOT NULL,
	job_id BIGINT,
	task_id BIGINT,
	run_id BIGINT,
	created_at DATETIME NOT NULL,
	session_id BIGINT,
	preservation VARCHAR,
	pinned_at DATETIME,
	PRIMARY KEY (database_identity, table_name)
);
CREATE INDEX ix_table_registry_job_id ON table_registry (job_id);
CREATE INDEX ix_table_registry_session_id ON table_registry (session_id);
