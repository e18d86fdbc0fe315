/* The spool's file: one connection, one mutex; every statement is prepared once. */
#include "connectors/spool/spool.h"

#include <openssl/evp.h>
#include <openssl/rand.h>
#include <pthread.h>
#include <sqlite3.h>
#include <stdio.h>
#include <string.h>

enum {
    RECORD_OVERHEAD = 64, /* bytes that a row costs beside its own */
    FORGET_EVERY_MS = 60000,
    SOURCES_MAX = 1024,
    DROP_AT_ONCE = 4096
};

static const char make_tables[] =
    "CREATE TABLE IF NOT EXISTS meta (name TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;"
    "CREATE TABLE IF NOT EXISTS source (id INTEGER PRIMARY KEY, name TEXT UNIQUE NOT NULL,"
    " reached INTEGER NOT NULL DEFAULT 0);"
    "CREATE TABLE IF NOT EXISTS record (number INTEGER PRIMARY KEY AUTOINCREMENT,"
    " source INTEGER NOT NULL, size INTEGER NOT NULL, key BLOB, headers BLOB, value BLOB);"
    "CREATE INDEX IF NOT EXISTS record_source ON record (source, number, size);"
    "CREATE TABLE IF NOT EXISTS repeat (key TEXT PRIMARY KEY, body TEXT NOT NULL, answer BLOB,"
    " at INTEGER NOT NULL) WITHOUT ROWID;"
    "CREATE INDEX IF NOT EXISTS repeat_at ON repeat (at);"
    "CREATE TABLE IF NOT EXISTS gap (source INTEGER NOT NULL, first INTEGER NOT NULL,"
    " last INTEGER NOT NULL, records INTEGER NOT NULL, at INTEGER NOT NULL);"
    "CREATE TABLE IF NOT EXISTS dead (number INTEGER PRIMARY KEY, source INTEGER NOT NULL,"
    " key BLOB, headers BLOB, value BLOB, reason TEXT);";

enum statement {
    BEGIN,
    COMMIT,
    ROLLBACK,
    SOURCE_FIND,
    SOURCE_ADD,
    INSERT,
    REPEAT_FIND,
    REPEAT_ADD,
    REPEAT_FORGET,
    PEEK,
    MEASURE,
    DONE,
    REACHED,
    REACHED_SET,
    OLDEST,
    DROP,
    GAP,
    BURY,
    BURY_DROP,
    STATEMENTS
};
static const char *const statement_texts[STATEMENTS] = {
    [BEGIN] = "BEGIN IMMEDIATE",
    [COMMIT] = "COMMIT",
    [ROLLBACK] = "ROLLBACK",
    [SOURCE_FIND] = "SELECT id FROM source WHERE name = ?1",
    [SOURCE_ADD] = "INSERT INTO source (name) VALUES (?1)",
    [INSERT] = "INSERT INTO record (source, size, key, headers, value) VALUES (?1,?2,?3,?4,?5)",
    [REPEAT_FIND] = "SELECT body, answer FROM repeat WHERE key = ?1 AND at > ?2",
    [REPEAT_ADD] = "INSERT OR REPLACE INTO repeat (key, body, answer, at) VALUES (?1,?2,?3,?4)",
    [REPEAT_FORGET] = "DELETE FROM repeat WHERE at <= ?1",
    [PEEK] = "SELECT number, key, headers, value FROM record WHERE source = ?1 ORDER BY number"
             " LIMIT ?2",
    [MEASURE] = "SELECT count(*), coalesce(sum(size), 0) FROM record WHERE source = ?1 AND number "
                "<= ?2",
    [DONE] = "DELETE FROM record WHERE source = ?1 AND number <= ?2",
    [REACHED] = "SELECT reached FROM source WHERE id = ?1",
    [REACHED_SET] = "UPDATE source SET reached = max(reached, ?2) WHERE id = ?1",
    [OLDEST] = "SELECT number, source, size FROM record ORDER BY number",
    [DROP] = "DELETE FROM record WHERE number = ?1",
    [GAP] = "INSERT INTO gap (source, first, last, records, at) VALUES (?1,?2,?3,?4,?5)",
    [BURY] = "INSERT INTO dead SELECT number, source, key, headers, value, ?2 FROM record WHERE "
             "number = ?1",
    [BURY_DROP] = "DELETE FROM record WHERE number = ?1",
};

struct weir_spool {
    struct weir_spool_options options;
    pthread_mutex_t lock;
    sqlite3 *database;
    sqlite3_stmt *statements[STATEMENTS];
    char identity[65], path[1024];
    struct weir_spool_counts counts;
    int64_t in_flight[SOURCES_MAX]; /* by source id: records up to here are being sent */
    int64_t forgotten_ms;
};

void weir_spool_digest(const void *data, size_t size, char ret_hex[65])
{
    static const char digits[] = "0123456789abcdef";
    uint8_t digest[EVP_MAX_MD_SIZE] = {0};
    unsigned length = 0;
    EVP_Digest(data ? data : "", size, digest, &length, EVP_sha256(), NULL);
    for (unsigned i = 0; i < 32; i++) {
        ret_hex[2 * i] = digits[digest[i] >> 4];
        ret_hex[2 * i + 1] = digits[digest[i] & 15];
    }
    ret_hex[64] = '\0';
}

/* ---- SQLite ---- */

static weir_status failed(struct weir_spool *spool, int code, const char *doing,
                          struct weir_error *reterr)
{
    weir_status status = WEIR_IO;
    switch (code & 0xff) {
    case SQLITE_BUSY:
    case SQLITE_LOCKED: status = WEIR_UNAVAILABLE; break;
    case SQLITE_FULL: status = WEIR_NO_SPACE; break;
    case SQLITE_PERM:
    case SQLITE_READONLY:
    case SQLITE_CANTOPEN:
    case SQLITE_AUTH: status = WEIR_DENIED; break;
    case SQLITE_CORRUPT:
    case SQLITE_NOTADB: status = WEIR_CORRUPT; break;
    case SQLITE_NOMEM: status = WEIR_NO_MEMORY; break;
    default: break;
    }
    status = weir_fail(reterr, status, "spool %.500s: %s: %s", spool->path, doing,
                       status == WEIR_UNAVAILABLE ? "another process has it"
                                                  : sqlite3_errmsg(spool->database));
    if (status == WEIR_CORRUPT)
        weir_error_hint(reterr, "move the file away, with its -wal; what it holds of accepted "
                                "records can be read by sqlite3's .recover");
    return status;
}

/* A statement ready to be bound: `bytes` ends with data NULL means SQL NULL. */
static sqlite3_stmt *ready(struct weir_spool *spool, enum statement which)
{
    sqlite3_stmt *statement = spool->statements[which];
    sqlite3_reset(statement);
    sqlite3_clear_bindings(statement);
    return statement;
}

static weir_status run(struct weir_spool *spool, sqlite3_stmt *statement, const char *doing,
                       struct weir_error *reterr)
{
    int code = sqlite3_step(statement);
    weir_status status = code == SQLITE_DONE || code == SQLITE_ROW
                             ? WEIR_OK
                             : failed(spool, code, doing, reterr);
    sqlite3_reset(statement);
    return status;
}

static weir_status run_plain(struct weir_spool *spool, enum statement which, const char *doing,
                             struct weir_error *reterr)
{
    return run(spool, ready(spool, which), doing, reterr);
}

static weir_status execute(struct weir_spool *spool, const char *sql, struct weir_error *reterr)
{
    int code = sqlite3_exec(spool->database, sql, NULL, NULL, NULL);
    return code == SQLITE_OK ? WEIR_OK : failed(spool, code, "opening", reterr);
}

/* One row of whole numbers. */
static weir_status ask(struct weir_spool *spool, const char *sql, int64_t *values, int count,
                       struct weir_error *reterr)
{
    sqlite3_stmt *statement;
    int code = sqlite3_prepare_v2(spool->database, sql, -1, &statement, NULL);
    if (code == SQLITE_OK)
        code = sqlite3_step(statement);
    for (int i = 0; code == SQLITE_ROW && i < count; i++)
        values[i] = sqlite3_column_int64(statement, i);
    weir_status status = code == SQLITE_ROW ? WEIR_OK : failed(spool, code, "reading", reterr);
    sqlite3_finalize(statement);
    return status;
}

/* ---- opening ---- */

static weir_status read_identity(struct weir_spool *spool, struct weir_error *reterr)
{
    sqlite3_stmt *statement;
    uint8_t bytes[8];
    char fresh[128];
    if (RAND_bytes(bytes, sizeof bytes) != 1)
        return weir_fail(reterr, WEIR_IO, "spool: no randomness");
    weir_spool_digest(bytes, sizeof bytes, spool->identity);
    spool->identity[16] = '\0';
    snprintf(fresh, sizeof fresh, "INSERT OR IGNORE INTO meta VALUES ('identity', '%s')",
             spool->identity);
    WEIR_TRY(execute(spool, fresh, reterr));
    int code = sqlite3_prepare_v2(spool->database, "SELECT value FROM meta WHERE name = 'identity'",
                                  -1, &statement, NULL);
    if (code == SQLITE_OK && (code = sqlite3_step(statement)) == SQLITE_ROW)
        snprintf(spool->identity, sizeof spool->identity, "%s",
                 (const char *)sqlite3_column_text(statement, 0));
    weir_status status = code == SQLITE_ROW ? WEIR_OK : failed(spool, code, "reading", reterr);
    sqlite3_finalize(statement);
    return status;
}

static weir_status set_up(struct weir_spool *spool, struct weir_error *reterr)
{
    int code = sqlite3_open_v2(spool->options.path, &spool->database,
                               SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE | SQLITE_OPEN_NOMUTEX,
                               NULL);
    if (!spool->database)
        return weir_fail(reterr, WEIR_NO_MEMORY, "spool: no memory");
    if (code != SQLITE_OK)
        return failed(spool, code, "opening", reterr);
    sqlite3_extended_result_codes(spool->database, 1);
    sqlite3_busy_timeout(spool->database, 1000);
    WEIR_TRY(execute(spool,
                     "PRAGMA locking_mode=EXCLUSIVE; PRAGMA journal_mode=WAL;"
                     "PRAGMA synchronous=FULL; PRAGMA cache_size=-16384; BEGIN IMMEDIATE; COMMIT;",
                     reterr));
    WEIR_TRY(execute(spool, make_tables, reterr));
    WEIR_TRY(read_identity(spool, reterr));
    for (int i = 0; i < STATEMENTS; i++) {
        code = sqlite3_prepare_v3(spool->database, statement_texts[i], -1,
                                  SQLITE_PREPARE_PERSISTENT, &spool->statements[i], NULL);
        if (code != SQLITE_OK)
            return failed(spool, code, "preparing", reterr);
    }
    int64_t waiting[2], gone[2];
    WEIR_TRY(ask(spool, "SELECT count(*), coalesce(sum(size), 0) FROM record", waiting, 2, reterr));
    WEIR_TRY(ask(spool,
                 "SELECT (SELECT coalesce(sum(records), 0) FROM gap), (SELECT count(*) FROM dead)",
                 gone, 2, reterr));
    spool->counts = (struct weir_spool_counts){waiting[0], waiting[1], gone[0], gone[1]};
    return WEIR_OK;
}

weir_status weir_spool_open(const struct weir_spool_options *options, struct weir_spool **ret_spool,
                            struct weir_error *reterr)
{
    struct weir_spool *spool;
    WEIR_TRY(weir_alloc_zero(options->account, 1, sizeof *spool, &spool, reterr));
    spool->options = *options;
    snprintf(spool->path, sizeof spool->path, "%s", options->path);
    pthread_mutex_init(&spool->lock, NULL);
    weir_status status = set_up(spool, reterr);
    if (status != WEIR_OK) {
        weir_spool_close(spool);
        return status;
    }
    *ret_spool = spool;
    return WEIR_OK;
}

void weir_spool_close(struct weir_spool *spool)
{
    if (!spool)
        return;
    for (int i = 0; i < STATEMENTS; i++)
        sqlite3_finalize(spool->statements[i]);
    sqlite3_close(spool->database);
    pthread_mutex_destroy(&spool->lock);
    weir_free(spool);
}

const char *weir_spool_identity(const struct weir_spool *spool)
{
    return spool->identity;
}

/* ---- putting ---- */

static void bind_bytes(sqlite3_stmt *statement, int at, struct weir_bytes bytes)
{
    if (bytes.data)
        sqlite3_bind_blob64(statement, at, bytes.data, bytes.size, SQLITE_STATIC);
}

static weir_status source_id(struct weir_spool *spool, const char *name, int64_t *ret_id,
                             struct weir_error *reterr)
{
    for (int round = 0; round < 2; round++) {
        sqlite3_stmt *find = ready(spool, SOURCE_FIND);
        sqlite3_bind_text(find, 1, name, -1, SQLITE_STATIC);
        int code = sqlite3_step(find);
        if (code == SQLITE_ROW)
            *ret_id = sqlite3_column_int64(find, 0);
        sqlite3_reset(find);
        if (code == SQLITE_ROW)
            return WEIR_OK;
        if (code != SQLITE_DONE)
            return failed(spool, code, "reading", reterr);
        sqlite3_stmt *add = ready(spool, SOURCE_ADD);
        sqlite3_bind_text(add, 1, name, -1, SQLITE_STATIC);
        WEIR_TRY(run(spool, add, "writing", reterr));
    }
    return weir_fail(reterr, WEIR_INTERNAL, "spool: a source that is not there");
}

static int64_t entry_size(const struct weir_spool_entry *entry)
{
    return (int64_t)(entry->key.size + entry->headers.size + entry->value.size + RECORD_OVERHEAD);
}

/* Was this request taken before? */
static weir_status find_repeat(struct weir_spool *spool, struct weir_spool_put *put, int64_t now_ms,
                               bool *ret_found, struct weir_error *reterr)
{
    sqlite3_stmt *find = ready(spool, REPEAT_FIND);
    weir_status status = WEIR_OK;
    *ret_found = false;
    if (!put->repeat_key)
        return WEIR_OK;
    sqlite3_bind_text(find, 1, put->repeat_key, -1, SQLITE_STATIC);
    sqlite3_bind_int64(find, 2, now_ms - spool->options.repeat_window_ms);
    int code = sqlite3_step(find);
    if (code == SQLITE_ROW) {
        const char *body = (const char *)sqlite3_column_text(find, 0);
        *ret_found = true;
        put->outcome = body && strcmp(body, put->body_digest) == 0 ? WEIR_SPOOL_REPEATED
                                                                   : WEIR_SPOOL_CONFLICT;
        if (put->outcome == WEIR_SPOOL_REPEATED) {
            weir_buffer_clear(put->answer);
            status = weir_buffer_append(put->answer, sqlite3_column_blob(find, 1),
                                        (size_t)sqlite3_column_bytes(find, 1), reterr);
        }
    } else if (code != SQLITE_DONE) {
        status = failed(spool, code, "reading", reterr);
    }
    sqlite3_reset(find);
    return status;
}

static weir_status add_gap(struct weir_spool *spool, int64_t source, int64_t first, int64_t last,
                           int64_t records, int64_t now_ms, struct weir_error *reterr)
{
    sqlite3_stmt *gap = ready(spool, GAP);
    sqlite3_bind_int64(gap, 1, source);
    sqlite3_bind_int64(gap, 2, first);
    sqlite3_bind_int64(gap, 3, last);
    sqlite3_bind_int64(gap, 4, records);
    sqlite3_bind_int64(gap, 5, now_ms);
    return run(spool, gap, "writing", reterr);
}

struct oldest {
    int64_t number, source, size;
};

static size_t find_oldest(struct weir_spool *spool, struct oldest *found, int64_t wanted)
{
    sqlite3_stmt *oldest = ready(spool, OLDEST);
    size_t count = 0;
    while (count < DROP_AT_ONCE && wanted > 0 && sqlite3_step(oldest) == SQLITE_ROW) {
        int64_t number = sqlite3_column_int64(oldest, 0), source = sqlite3_column_int64(oldest, 1);
        if (source < SOURCES_MAX && number <= spool->in_flight[source])
            continue;
        found[count] = (struct oldest){number, source, sqlite3_column_int64(oldest, 2)};
        wanted -= found[count++].size;
    }
    sqlite3_reset(oldest);
    return count;
}

/* Oldest first until `needed` more bytes fit; what is being sent stays. */
static weir_status make_room(struct weir_spool *spool, int64_t needed, int64_t now_ms,
                             struct weir_spool_counts *counts, bool *ret_room,
                             struct weir_error *reterr)
{
    struct oldest found[DROP_AT_ONCE];
    int64_t limit = (int64_t)spool->options.limit;
    *ret_room = needed <= limit;
    while (*ret_room && counts->bytes + needed > limit) {
        size_t count = find_oldest(spool, found, counts->bytes + needed - limit);
        if (count == 0)
            *ret_room = false;
        for (size_t i = 0; i < count; i++) {
            sqlite3_stmt *drop = ready(spool, DROP);
            sqlite3_bind_int64(drop, 1, found[i].number);
            WEIR_TRY(run(spool, drop, "dropping", reterr));
            WEIR_TRY(add_gap(spool, found[i].source, found[i].number, found[i].number, 1, now_ms,
                             reterr));
            counts->bytes -= found[i].size;
            counts->records--;
            counts->dropped++;
        }
    }
    return WEIR_OK;
}

static weir_status insert_records(struct weir_spool *spool, const struct weir_spool_put *put,
                                  struct weir_spool_counts *counts, struct weir_error *reterr)
{
    int64_t source;
    WEIR_TRY(source_id(spool, put->source, &source, reterr));
    if (source >= SOURCES_MAX)
        return weir_fail(reterr, WEIR_USAGE, "spool: more than %d sources", SOURCES_MAX - 1);
    for (size_t i = 0; i < put->count; i++) {
        const struct weir_spool_entry *entry = &put->entries[i];
        sqlite3_stmt *insert = ready(spool, INSERT);
        sqlite3_bind_int64(insert, 1, source);
        sqlite3_bind_int64(insert, 2, entry_size(entry));
        bind_bytes(insert, 3, entry->key);
        bind_bytes(insert, 4, entry->headers);
        bind_bytes(insert, 5, entry->value);
        WEIR_TRY(run(spool, insert, "writing", reterr));
        counts->bytes += entry_size(entry);
        counts->records++;
    }
    return WEIR_OK;
}

static weir_status put_one(struct weir_spool *spool, struct weir_spool_put *put, int64_t now_ms,
                           struct weir_spool_counts *counts, struct weir_error *reterr)
{
    bool found, room = true;
    int64_t needed = 0;
    WEIR_TRY(find_repeat(spool, put, now_ms, &found, reterr));
    if (found)
        return WEIR_OK;
    for (size_t i = 0; i < put->count; i++)
        needed += entry_size(&put->entries[i]);
    if (spool->options.drop_oldest)
        WEIR_TRY(make_room(spool, needed, now_ms, counts, &room, reterr));
    if (!room || counts->bytes + needed > (int64_t)spool->options.limit) {
        put->outcome = WEIR_SPOOL_IS_FULL;
        return WEIR_OK;
    }
    WEIR_TRY(insert_records(spool, put, counts, reterr));
    put->outcome = WEIR_SPOOL_TAKEN;
    if (!put->repeat_key)
        return WEIR_OK;
    sqlite3_stmt *add = ready(spool, REPEAT_ADD);
    sqlite3_bind_text(add, 1, put->repeat_key, -1, SQLITE_STATIC);
    sqlite3_bind_text(add, 2, put->body_digest, -1, SQLITE_STATIC);
    bind_bytes(add, 3, (struct weir_bytes){put->answer->data, put->answer->size});
    sqlite3_bind_int64(add, 4, now_ms);
    return run(spool, add, "writing", reterr);
}

static weir_status forget_repeats(struct weir_spool *spool, int64_t now_ms,
                                  struct weir_error *reterr)
{
    if (spool->forgotten_ms && now_ms - spool->forgotten_ms < FORGET_EVERY_MS)
        return WEIR_OK;
    spool->forgotten_ms = now_ms;
    sqlite3_stmt *forget = ready(spool, REPEAT_FORGET);
    sqlite3_bind_int64(forget, 1, now_ms - spool->options.repeat_window_ms);
    return run(spool, forget, "forgetting", reterr);
}

static weir_status put_all(struct weir_spool *spool, struct weir_spool_put **puts, size_t count,
                           int64_t now_ms, struct weir_error *reterr)
{
    struct weir_spool_counts counts = spool->counts;
    WEIR_TRY(run_plain(spool, BEGIN, "beginning", reterr));
    weir_status status = forget_repeats(spool, now_ms, reterr);
    for (size_t i = 0; status == WEIR_OK && i < count; i++)
        status = put_one(spool, puts[i], now_ms, &counts, reterr);
    if (status == WEIR_OK)
        status = run_plain(spool, COMMIT, "committing", reterr);
    if (status != WEIR_OK) {
        if (!sqlite3_get_autocommit(spool->database))
            sqlite3_step(ready(spool, ROLLBACK));
        sqlite3_reset(spool->statements[ROLLBACK]);
        return status;
    }
    spool->counts = counts;
    return WEIR_OK;
}

weir_status weir_spool_put(struct weir_spool *spool, struct weir_spool_put **puts, size_t count,
                           int64_t now_ms, struct weir_error *reterr)
{
    pthread_mutex_lock(&spool->lock);
    weir_status status = put_all(spool, puts, count, now_ms, reterr);
    pthread_mutex_unlock(&spool->lock);
    return status;
}

/* ---- taking out ---- */

static weir_status copy_column(struct weir_arena *arena, sqlite3_stmt *statement, int column,
                               struct weir_bytes *ret_bytes, struct weir_error *reterr)
{
    char *copy;
    const void *data = sqlite3_column_blob(statement, column);
    size_t size = (size_t)sqlite3_column_bytes(statement, column);
    if (sqlite3_column_type(statement, column) == SQLITE_NULL) {
        *ret_bytes = (struct weir_bytes){NULL, 0};
        return WEIR_OK;
    }
    WEIR_TRY(weir_arena_copy(arena, data ? data : "", size, &copy, reterr));
    *ret_bytes = (struct weir_bytes){(const uint8_t *)copy, size};
    return WEIR_OK;
}

static weir_status peek(struct weir_spool *spool, const char *source, size_t records_max,
                        size_t bytes_max, struct weir_arena *arena,
                        struct weir_spool_record *records, size_t *ret_count,
                        struct weir_error *reterr)
{
    int64_t id;
    int code = SQLITE_DONE;
    size_t count = 0, bytes = 0;
    weir_status status = WEIR_OK;
    WEIR_TRY(source_id(spool, source, &id, reterr));
    sqlite3_stmt *rows = ready(spool, PEEK);
    sqlite3_bind_int64(rows, 1, id);
    sqlite3_bind_int64(rows, 2, (int64_t)records_max);
    while (status == WEIR_OK && bytes < bytes_max && (code = sqlite3_step(rows)) == SQLITE_ROW) {
        struct weir_spool_record *record = &records[count++];
        record->number = sqlite3_column_int64(rows, 0);
        status = copy_column(arena, rows, 1, &record->entry.key, reterr);
        if (status == WEIR_OK)
            status = copy_column(arena, rows, 2, &record->entry.headers, reterr);
        if (status == WEIR_OK)
            status = copy_column(arena, rows, 3, &record->entry.value, reterr);
        bytes += record->entry.value.size + record->entry.headers.size + RECORD_OVERHEAD;
    }
    if (status == WEIR_OK && code != SQLITE_ROW && code != SQLITE_DONE)
        status = failed(spool, code, "reading", reterr);
    sqlite3_reset(rows);
    if (status != WEIR_OK)
        return status;
    spool->in_flight[id] = count ? records[count - 1].number : 0;
    *ret_count = count;
    return WEIR_OK;
}

weir_status weir_spool_peek(struct weir_spool *spool, const char *source, size_t records_max,
                            size_t bytes_max, struct weir_arena *arena,
                            struct weir_spool_record **ret_records, size_t *ret_count,
                            struct weir_error *reterr)
{
    struct weir_spool_record *records;
    WEIR_TRY(weir_arena_zero(arena, records_max + 1, sizeof *records, &records, reterr));
    pthread_mutex_lock(&spool->lock);
    weir_status status = peek(spool, source, records_max, bytes_max, arena, records, ret_count,
                              reterr);
    pthread_mutex_unlock(&spool->lock);
    if (status == WEIR_OK)
        *ret_records = records;
    return status;
}

static weir_status remove_done(struct weir_spool *spool, int64_t id, int64_t number,
                               int64_t *ret_records, struct weir_error *reterr)
{
    sqlite3_stmt *measure = ready(spool, MEASURE);
    sqlite3_bind_int64(measure, 1, id);
    sqlite3_bind_int64(measure, 2, number);
    int code = sqlite3_step(measure);
    int64_t records = sqlite3_column_int64(measure, 0), bytes = sqlite3_column_int64(measure, 1);
    sqlite3_reset(measure);
    if (code != SQLITE_ROW)
        return failed(spool, code, "reading", reterr);
    sqlite3_stmt *done = ready(spool, DONE), *reached = ready(spool, REACHED_SET);
    sqlite3_bind_int64(done, 1, id);
    sqlite3_bind_int64(done, 2, number);
    WEIR_TRY(run(spool, done, "removing", reterr));
    sqlite3_bind_int64(reached, 1, id);
    sqlite3_bind_int64(reached, 2, number);
    WEIR_TRY(run(spool, reached, "removing", reterr));
    WEIR_TRY(run_plain(spool, COMMIT, "committing", reterr));
    spool->counts.records -= records;
    spool->counts.bytes -= bytes;
    spool->in_flight[id] = 0;
    *ret_records = records;
    return WEIR_OK;
}

static weir_status done(struct weir_spool *spool, const char *source, int64_t number,
                        int64_t *ret_records, struct weir_error *reterr)
{
    int64_t id;
    /* no sync: Kafka knows it better */
    WEIR_TRY(execute(spool, "PRAGMA synchronous=NORMAL", reterr));
    weir_status status = run_plain(spool, BEGIN, "beginning", reterr);
    if (status == WEIR_OK)
        status = source_id(spool, source, &id, reterr);
    if (status == WEIR_OK)
        status = remove_done(spool, id, number, ret_records, reterr);
    if (!sqlite3_get_autocommit(spool->database)) {
        sqlite3_step(ready(spool, ROLLBACK));
        sqlite3_reset(spool->statements[ROLLBACK]);
    }
    weir_status full = execute(spool, "PRAGMA synchronous=FULL", status == WEIR_OK ? reterr : NULL);
    return status == WEIR_OK ? full : status;
}

weir_status weir_spool_done(struct weir_spool *spool, const char *source, int64_t number,
                            int64_t *ret_records, struct weir_error *reterr)
{
    pthread_mutex_lock(&spool->lock);
    weir_status status = done(spool, source, number, ret_records, reterr);
    pthread_mutex_unlock(&spool->lock);
    return status;
}

weir_status weir_spool_reached(struct weir_spool *spool, const char *source, int64_t *ret_number,
                               struct weir_error *reterr)
{
    int64_t id;
    pthread_mutex_lock(&spool->lock);
    weir_status status = source_id(spool, source, &id, reterr);
    if (status == WEIR_OK) {
        sqlite3_stmt *reached = ready(spool, REACHED);
        sqlite3_bind_int64(reached, 1, id);
        int code = sqlite3_step(reached);
        if (code == SQLITE_ROW)
            *ret_number = sqlite3_column_int64(reached, 0);
        else
            status = failed(spool, code, "reading", reterr);
        sqlite3_reset(reached);
    }
    pthread_mutex_unlock(&spool->lock);
    return status;
}

static weir_status bury(struct weir_spool *spool, int64_t number, const char *reason,
                        struct weir_error *reterr)
{
    int64_t size[1] = {0};
    char sql[100];
    snprintf(sql, sizeof sql, "SELECT size FROM record WHERE number = %lld", (long long)number);
    WEIR_TRY(ask(spool, sql, size, 1, reterr));
    WEIR_TRY(run_plain(spool, BEGIN, "beginning", reterr));
    sqlite3_stmt *copy = ready(spool, BURY), *drop = ready(spool, BURY_DROP);
    sqlite3_bind_int64(copy, 1, number);
    sqlite3_bind_text(copy, 2, reason, -1, SQLITE_STATIC);
    sqlite3_bind_int64(drop, 1, number);
    weir_status status = run(spool, copy, "setting aside", reterr);
    if (status == WEIR_OK)
        status = run(spool, drop, "setting aside", reterr);
    if (status == WEIR_OK)
        status = run_plain(spool, COMMIT, "committing", reterr);
    if (!sqlite3_get_autocommit(spool->database)) {
        sqlite3_step(ready(spool, ROLLBACK));
        sqlite3_reset(spool->statements[ROLLBACK]);
    }
    if (status != WEIR_OK)
        return status;
    spool->counts.records--;
    spool->counts.bytes -= size[0];
    spool->counts.dead++;
    return WEIR_OK;
}

weir_status weir_spool_bury(struct weir_spool *spool, int64_t number, const char *reason,
                            struct weir_error *reterr)
{
    pthread_mutex_lock(&spool->lock);
    weir_status status = bury(spool, number, reason, reterr);
    pthread_mutex_unlock(&spool->lock);
    return status;
}

void weir_spool_count(struct weir_spool *spool, struct weir_spool_counts *ret_counts)
{
    pthread_mutex_lock(&spool->lock);
    *ret_counts = spool->counts;
    pthread_mutex_unlock(&spool->lock);
}

weir_status weir_spool_strangers(struct weir_spool *spool, const char *const *sources, size_t count,
                                 int64_t *ret_records, char ret_name[256],
                                 struct weir_error *reterr)
{
    static const char sql[] = "SELECT s.name, count(*) FROM record r JOIN source s ON s.id = "
                              "r.source GROUP BY s.name";
    sqlite3_stmt *rows;
    int64_t records = 0;
    pthread_mutex_lock(&spool->lock);
    int code = sqlite3_prepare_v2(spool->database, sql, -1, &rows, NULL);
    while (code == SQLITE_OK || code == SQLITE_ROW) {
        code = sqlite3_step(rows);
        if (code != SQLITE_ROW)
            break;
        const char *name = (const char *)sqlite3_column_text(rows, 0);
        bool known = false;
        for (size_t i = 0; i < count; i++)
            known |= strcmp(sources[i], name) == 0;
        if (known)
            continue;
        records += sqlite3_column_int64(rows, 1);
        snprintf(ret_name, 256, "%s", name);
    }
    weir_status status = code == SQLITE_DONE ? WEIR_OK : failed(spool, code, "reading", reterr);
    sqlite3_finalize(rows);
    pthread_mutex_unlock(&spool->lock);
    if (status == WEIR_OK)
        *ret_records = records;
    return status;
}
