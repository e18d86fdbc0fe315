/* The SQLite catalog: one row a table, moved by one UPDATE ... WHERE metadata_location = the one it
 * was read by.
 *
 * Order of a commit: metadata document put-if-absent under a random name, store->settle (everything
 * the document names is durable), then the row, synchronous=FULL. A kill between leaves litter,
 * never a pointer to what is not there. */
#include "connectors/catalog/catalog_int.h"

#include <errno.h>
#include <sqlite3.h>
#include <stdlib.h>
#include <string.h>
#include <sys/vfs.h>

#define BUSY_MS      30000 /* how long a writer waits for another one's transaction */
#define LOCATION_MAX 1000  /* VARCHAR(1000) of the JDBC catalog */

struct sqlite_catalog {
    struct weir_context *context;
    const struct weir_object_store *store;
    sqlite3 *database; /* FULLMUTEX: any thread */
    char *name;
};

static const char make_tables[] =
    "CREATE TABLE IF NOT EXISTS iceberg_tables (catalog_name VARCHAR(255) NOT NULL, "
    "table_namespace VARCHAR(255) NOT NULL,"
    " table_name VARCHAR(255) NOT NULL, metadata_location VARCHAR(1000), "
    "previous_metadata_location VARCHAR(1000),"
    " iceberg_type VARCHAR(5), PRIMARY KEY (catalog_name, table_namespace, table_name));"
    "CREATE TABLE IF NOT EXISTS iceberg_namespace_properties (catalog_name VARCHAR(255) NOT NULL, "
    "namespace VARCHAR(255) NOT NULL,"
    " property_key VARCHAR(255) NOT NULL, property_value VARCHAR(1000) NOT NULL, PRIMARY KEY "
    "(catalog_name, namespace, property_key));";

static weir_status sql_failed(sqlite3 *database, int code, const char *doing,
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
    return weir_fail(reterr, status, "catalog %s: %s: %s", sqlite3_db_filename(database, "main"),
                     doing, sqlite3_errmsg(database));
}

static weir_status prepare(struct sqlite_catalog *catalog, const char *sql,
                           const char *const *texts, int count, sqlite3_stmt **ret_statement,
                           struct weir_error *reterr)
{
    sqlite3_stmt *statement;
    int code = sqlite3_prepare_v2(catalog->database, sql, -1, &statement, NULL);
    for (int i = 0; code == SQLITE_OK && i < count; i++)
        code = texts[i] ? sqlite3_bind_text(statement, i + 1, texts[i], -1, SQLITE_TRANSIENT)
                        : sqlite3_bind_null(statement, i + 1);
    if (code != SQLITE_OK) {
        weir_status status = sql_failed(catalog->database, code, "preparing", reterr);
        sqlite3_finalize(statement);
        return status;
    }
    *ret_statement = statement;
    return WEIR_OK;
}

/* ---- opening -------------------------------------------------------------------------------- */

/* File locks over a network are promises nobody keeps; FUSE may hide one. */
static weir_status refuse_network(const char *path, struct weir_error *reterr)
{
    static const struct {
        uint32_t magic;
        const char *name;
    } network[] = {
        {0x6969, "NFS"},      {0x517b, "SMB"},      {0xff534d42, "CIFS"},   {0xfe534d42, "SMB2"},
        {0x65735546, "FUSE"}, {0x01021997, "9p"},   {0x73757245, "Coda"},   {0x5346414f, "AFS"},
        {0x6b414653, "AFS"},  {0x00c36400, "Ceph"}, {0x0bd00bd0, "Lustre"},
    };
    char folder[4096];
    struct statfs info;
    snprintf(folder, sizeof folder, "%s", path);
    if (statfs(folder, &info) != 0) {
        char *slash = strrchr(folder, '/');
        if (slash)
            slash[slash == folder] = '\0';
        else
            snprintf(folder, sizeof folder, ".");
        if (statfs(folder, &info) != 0)
            return weir_fail(reterr, errno == EACCES ? WEIR_DENIED : WEIR_NOT_FOUND,
                             "catalog %.800s: %s: %s", path, folder, strerror(errno));
    }
    for (size_t i = 0; i < sizeof network / sizeof *network; i++)
        if ((uint32_t)info.f_type == network[i].magic) {
            weir_status status = weir_fail(
                reterr, WEIR_REFUSED,
                "catalog %.800s lies on a network file system (%s), whose locks do not hold", path,
                network[i].name);
            weir_error_hint(
                reterr,
                "put the catalog on a local disk, or use catalog: object-store or a REST catalog");
            return status;
        }
    return WEIR_OK;
}

/* Files made by older writers (schema V0) lack a column; Java adds it the same way. */
static weir_status upgrade_tables(sqlite3 *database, struct weir_error *reterr)
{
    static const char probe[] = "SELECT iceberg_type FROM iceberg_tables LIMIT 0";
    int code = sqlite3_exec(database, probe, NULL, NULL, NULL);
    if (code == SQLITE_ERROR)
        code = sqlite3_exec(database,
                            "ALTER TABLE iceberg_tables ADD COLUMN iceberg_type VARCHAR(5)", NULL,
                            NULL, NULL);
    if (code == SQLITE_ERROR) /* another process added it in between */
        code = sqlite3_exec(database, probe, NULL, NULL, NULL);
    return code == SQLITE_OK ? WEIR_OK : sql_failed(database, code, "adding iceberg_type", reterr);
}

static weir_status open_database(const char *path, sqlite3 **ret_database,
                                 struct weir_error *reterr)
{
    sqlite3 *database = NULL;
    int code = sqlite3_open_v2(
        path, &database, SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE | SQLITE_OPEN_FULLMUTEX, NULL);
    if (!database)
        return weir_fail(reterr, WEIR_NO_MEMORY, "catalog %.800s: no memory", path);
    sqlite3_extended_result_codes(database, 1);
    sqlite3_busy_timeout(database, BUSY_MS);
    if (code == SQLITE_OK)
        code = sqlite3_exec(database, "PRAGMA synchronous=FULL", NULL, NULL, NULL);
    if (code == SQLITE_OK)
        code = sqlite3_exec(database, make_tables, NULL, NULL, NULL);
    weir_status status = code == SQLITE_OK ? upgrade_tables(database, reterr)
                                           : sql_failed(database, code, "opening", reterr);
    if (status != WEIR_OK) {
        sqlite3_close(database);
        return status;
    }
    *ret_database = database;
    return WEIR_OK;
}

static void sqlite_free(void *self)
{
    struct sqlite_catalog *catalog = self;
    if (!catalog)
        return;
    sqlite3_close(catalog->database);
    weir_free(catalog->name);
    weir_free(catalog);
}

/* ---- reading -------------------------------------------------------------------------------- */

/* The row's metadata_location into the buffer, NUL behind; NOT_FOUND. */
static weir_status find_location(struct sqlite_catalog *catalog, const struct catalog_name *name,
                                 struct weir_buffer *location, struct weir_error *reterr)
{
    const char *texts[] = {catalog->name, name->space, name->table};
    sqlite3_stmt *statement;
    WEIR_TRY(prepare(
        catalog,
        "SELECT metadata_location FROM iceberg_tables WHERE catalog_name = ? AND table_namespace = "
        "? AND table_name = ?"
        " AND (iceberg_type = 'TABLE' OR iceberg_type IS NULL) AND metadata_location IS NOT NULL",
        texts, 3, &statement, reterr));
    int code = sqlite3_step(statement);
    weir_status status;
    if (code == SQLITE_ROW)
        status = weir_buffer_print(location, reterr, "%s",
                                   (const char *)sqlite3_column_text(statement, 0));
    else if (code == SQLITE_DONE)
        status = weir_fail(reterr, WEIR_NOT_FOUND, "there is no table %s.%s", name->space,
                           name->table);
    else
        status = sql_failed(catalog->database, code, "reading", reterr);
    sqlite3_finalize(statement);
    return status;
}

static weir_status sqlite_load(void *self, const char *table, struct weir_table **ret_table,
                               struct weir_error *reterr)
{
    struct sqlite_catalog *catalog = self;
    struct catalog_name name;
    struct weir_metadata *metadata;
    const char *relative;
    WEIR_TRY(catalog_name_split(table, &name, reterr));
    WEIR_AUTO(weir_buffer)
    location = {.account = &catalog->context->memory};
    WEIR_TRY(find_location(catalog, &name, &location, reterr));
    WEIR_TRY(catalog_relative(catalog->store, (const char *)location.data, &relative, reterr));
    weir_status status = catalog_read(catalog->context, catalog->store, relative, &metadata,
                                      reterr);
    if (status ==
        WEIR_NOT_FOUND) /* the table is there: nobody may take this for a place to make it */
        return weir_fail(reterr, WEIR_CORRUPT, "table %s: its metadata document %.600s is gone",
                         table, (const char *)location.data);
    WEIR_TRY(status);
    return catalog_table_new(catalog->context, table, (const char *)location.data, "", metadata,
                             ret_table, reterr);
}

static weir_status sqlite_list(void *self, const char *namespace_name, struct weir_arena *arena,
                               char ***ret_names, size_t *ret_count, struct weir_error *reterr)
{
    struct sqlite_catalog *catalog = self;
    const char *texts[] = {catalog->name, namespace_name};
    char **names = NULL, **more;
    size_t count = 0, capacity = 0;
    sqlite3_stmt *statement;
    WEIR_TRY(prepare(catalog,
                     "SELECT table_namespace || '.' || table_name FROM iceberg_tables WHERE "
                     "catalog_name = ?1 AND (?2 = '' OR table_namespace = ?2)"
                     " AND (iceberg_type = 'TABLE' OR iceberg_type IS NULL) ORDER BY 1",
                     texts, 2, &statement, reterr));
    weir_status status = WEIR_OK;
    int code;
    while ((code = sqlite3_step(statement)) == SQLITE_ROW) {
        if (count == capacity) {
            capacity = capacity ? 2 * capacity : 16;
            WEIR_TRY_OUT(status, weir_arena_alloc(arena, capacity * sizeof *more, &more, reterr));
            if (count)
                memcpy(more, names, count * sizeof *more);
            names = more;
        }
        WEIR_TRY_OUT(status, weir_arena_copy(arena, sqlite3_column_text(statement, 0),
                                             (size_t)sqlite3_column_bytes(statement, 0),
                                             &names[count], reterr));
        count++;
    }
    if (code != SQLITE_DONE)
        status = sql_failed(catalog->database, code, "listing", reterr);
    *ret_names = names;
    *ret_count = count;
out:
    sqlite3_finalize(statement);
    return status;
}

/* ---- writing -------------------------------------------------------------------------------- */

/* "00007-….metadata.json" -> 8; 0 for names of another form. */
static unsigned next_version(const char *location)
{
    const char *slash = strrchr(location, '/');
    char *end;
    unsigned long version = strtoul(slash ? slash + 1 : location, &end, 10);
    return *end == '-' && version < 1000000000 ? (unsigned)version + 1 : 0;
}

/* Puts the document under a new random name; an uncertain put is left behind as litter and another
 * name taken. */
static weir_status write_document(struct sqlite_catalog *catalog,
                                  const struct weir_metadata *metadata, unsigned version,
                                  struct weir_buffer *location, struct weir_error *reterr)
{
    const struct weir_object_store *store = catalog->store;
    const char *folder;
    char uuid[37], name[1024];
    WEIR_TRY(catalog_relative(store, weir_metadata_location(metadata), &folder, reterr));
    WEIR_AUTO(weir_buffer)
    text = {.account = &catalog->context->memory};
    WEIR_TRY(weir_metadata_write(metadata, &text, reterr));
    weir_status status = WEIR_OK;
    for (int attempt = 0; attempt < 3; attempt++) {
        weir_random_uuid(catalog->context, uuid);
        int size = snprintf(name, sizeof name, "%s/metadata/%05u-%s.metadata.json", folder, version,
                            uuid);
        if (size >= (int)sizeof name || (size_t)size + strlen(store->root_uri) + 1 > LOCATION_MAX)
            return weir_fail(reterr, WEIR_UNSUPPORTED,
                             "the name of a metadata document is longer than %d bytes",
                             LOCATION_MAX);
        status = store->operations->put(store->self, name, text.data, text.size, WEIR_PUT_IF_ABSENT,
                                        NULL, NULL, reterr);
        if (status != WEIR_UNKNOWN_OUTCOME && status != WEIR_PRECONDITION)
            break;
    }
    if (status == WEIR_UNKNOWN_OUTCOME ||
        status == WEIR_PRECONDITION) /* the pointer has not been touched: that much is certain */
        status = weir_fail(reterr, WEIR_UNAVAILABLE,
                           "three attempts to write %s had no certain outcome", name);
    WEIR_TRY(status);
    /* Everything finished so far: data files, manifests, the document, and what lies outside the
     * table (refused rows, receipts). */
    WEIR_TRY(store->operations->settle(store->self, "", reterr));
    return weir_buffer_print(location, reterr, "%s/%s", store->root_uri, name);
}

/* After a failed statement: SQLite rolled it back, unless the disk failed it so late that nobody
 * knows. */
static weir_status pointer_failed(struct sqlite_catalog *catalog, int code,
                                  struct weir_error *reterr)
{
    weir_status status = sql_failed(catalog->database, code, "moving the pointer", reterr);
    if (status != WEIR_IO)
        return status;
    if (reterr)
        reterr->status = WEIR_UNKNOWN_OUTCOME;
    return WEIR_UNKNOWN_OUTCOME;
}

/* Runs one statement between the effect's hooks; *ret_changes rows were changed. */
static weir_status move_pointer(struct sqlite_catalog *catalog, const char *table,
                                sqlite3_stmt *statement, int *ret_changes,
                                struct weir_error *reterr)
{
    WEIR_TRY(weir_effect_before(catalog->context, "commit", table, reterr));
    sqlite3_mutex *mutex = sqlite3_db_mutex(
        catalog->database); /* changes belong to the connection, not to the statement */
    sqlite3_mutex_enter(mutex);
    int code = sqlite3_step(statement);
    int changes = code == SQLITE_DONE ? sqlite3_changes(catalog->database) : 0;
    sqlite3_mutex_leave(mutex);
    if (weir_effect_after(catalog->context))
        return weir_fail(reterr, WEIR_UNKNOWN_OUTCOME, "%s: the catalog's answer was lost", table);
    if (code == SQLITE_CONSTRAINT_PRIMARYKEY || code == SQLITE_CONSTRAINT_UNIQUE)
        return weir_fail(reterr, WEIR_PRECONDITION, "table %s is there already", table);
    if (code != SQLITE_DONE)
        return pointer_failed(catalog, code, reterr);
    *ret_changes = changes;
    return WEIR_OK;
}

static weir_status swap_pointer(struct sqlite_catalog *catalog, const char *table,
                                const struct catalog_name *name, const char *from, const char *to,
                                struct weir_error *reterr)
{
    const char *texts[] = {to, from, catalog->name, name->space, name->table};
    sqlite3_stmt *statement;
    int changes;
    WEIR_TRY(
        prepare(catalog,
                "UPDATE iceberg_tables SET metadata_location = ?1, previous_metadata_location = ?2"
                " WHERE catalog_name = ?3 AND table_namespace = ?4 AND table_name = ?5 AND "
                "metadata_location = ?2"
                " AND (iceberg_type = 'TABLE' OR iceberg_type IS NULL)",
                texts, 5, &statement, reterr));
    weir_status status = move_pointer(catalog, table, statement, &changes, reterr);
    sqlite3_finalize(statement);
    if (status == WEIR_OK && changes != 1)
        return weir_fail(reterr, WEIR_PRECONDITION, "%s: another writer moved the table on from %s",
                         table, from);
    return status;
}

static weir_status sqlite_commit(void *self, const struct weir_table *base,
                                 const struct weir_commit *commit, struct weir_table **ret_table,
                                 struct weir_error *reterr)
{
    struct sqlite_catalog *catalog = self;
    struct catalog_name name;
    struct weir_metadata *metadata;
    WEIR_TRY(catalog_name_split(base->name, &name, reterr));
    WEIR_TRY(weir_metadata_apply(&catalog->context->memory, base->metadata, base->metadata_location,
                                 commit, weir_now_ms(catalog->context), &metadata, reterr));
    WEIR_AUTO(weir_buffer)
    location = {.account = &catalog->context->memory};
    weir_status status;
    WEIR_TRY_OUT(status, write_document(catalog, metadata, next_version(base->metadata_location),
                                        &location, reterr));
    WEIR_TRY_OUT(status, swap_pointer(catalog, base->name, &name, base->metadata_location,
                                      (const char *)location.data, reterr));
    return catalog_table_new(catalog->context, base->name, (const char *)location.data, "",
                             metadata, ret_table, reterr);
out:
    weir_metadata_free(metadata);
    return status;
}

/* pyiceberg and Java look here for namespaces that exist. Not part of the commit: a namespace
 * without tables harms nobody. */
static weir_status ensure_namespace(struct sqlite_catalog *catalog, const char *space,
                                    struct weir_error *reterr)
{
    const char *texts[] = {catalog->name, space};
    sqlite3_stmt *statement;
    WEIR_TRY(prepare(
        catalog,
        "INSERT OR IGNORE INTO iceberg_namespace_properties VALUES (?, ?, 'exists', 'true')", texts,
        2, &statement, reterr));
    int code = sqlite3_step(statement);
    weir_status status = code == SQLITE_DONE
                             ? WEIR_OK
                             : sql_failed(catalog->database, code, "naming the namespace", reterr);
    sqlite3_finalize(statement);
    return status;
}

static weir_status insert_pointer(struct sqlite_catalog *catalog, const char *table,
                                  const struct catalog_name *name, const char *location,
                                  struct weir_error *reterr)
{
    const char *texts[] = {catalog->name, name->space, name->table, location};
    sqlite3_stmt *statement;
    int changes;
    WEIR_TRY(ensure_namespace(catalog, name->space, reterr));
    WEIR_TRY(prepare(catalog,
                     "INSERT INTO iceberg_tables (catalog_name, table_namespace, table_name, "
                     "metadata_location, previous_metadata_location, iceberg_type)"
                     " VALUES (?, ?, ?, ?, NULL, 'TABLE')",
                     texts, 4, &statement, reterr));
    weir_status status = move_pointer(catalog, table, statement, &changes, reterr);
    sqlite3_finalize(statement);
    return status;
}

static weir_status refuse_existing(struct sqlite_catalog *catalog, const char *table,
                                   const struct catalog_name *name, struct weir_error *reterr)
{
    struct weir_error ignored;
    WEIR_AUTO(weir_buffer)
    location = {.account = &catalog->context->memory};
    weir_status status = find_location(catalog, name, &location, &ignored);
    if (status == WEIR_OK)
        return weir_fail(reterr, WEIR_PRECONDITION, "table %s is there already", table);
    if (status != WEIR_NOT_FOUND && reterr)
        *reterr = ignored;
    return status == WEIR_NOT_FOUND ? WEIR_OK : status;
}

static weir_status sqlite_create(void *self, const char *table, const struct weir_commit *commit,
                                 struct weir_table **ret_table, struct weir_error *reterr)
{
    struct sqlite_catalog *catalog = self;
    struct catalog_name name;
    struct weir_metadata *metadata;
    WEIR_TRY(catalog_name_split(table, &name, reterr));
    WEIR_TRY(refuse_existing(catalog, table, &name, reterr));
    WEIR_TRY(catalog_create_metadata(catalog->context, catalog->store, &name, commit, &metadata,
                                     reterr));
    WEIR_AUTO(weir_buffer)
    location = {.account = &catalog->context->memory};
    weir_status status;
    WEIR_TRY_OUT(status, write_document(catalog, metadata, 0, &location, reterr));
    WEIR_TRY_OUT(status,
                 insert_pointer(catalog, table, &name, (const char *)location.data, reterr));
    return catalog_table_new(catalog->context, table, (const char *)location.data, "", metadata,
                             ret_table, reterr);
out:
    weir_metadata_free(metadata);
    return status;
}

static const struct weir_catalog_operations operations = {
    .kind = "sqlite",
    .load = sqlite_load,
    .create = sqlite_create,
    .commit = sqlite_commit,
    .list = sqlite_list,
    .free = sqlite_free,
};

weir_status weir_catalog_sqlite_new(struct weir_context *context,
                                    const struct weir_object_store *store, const char *path,
                                    const char *catalog_name, struct weir_catalog *ret_catalog,
                                    struct weir_error *reterr)
{
    struct sqlite_catalog *catalog;
    WEIR_TRY(refuse_network(path, reterr));
    WEIR_TRY(weir_alloc_zero(&context->memory, 1, sizeof *catalog, &catalog, reterr));
    catalog->context = context;
    catalog->store = store;
    weir_status status;
    WEIR_TRY_OUT(status,
                 weir_alloc(&context->memory, strlen(catalog_name) + 1, &catalog->name, reterr));
    memcpy(catalog->name, catalog_name, strlen(catalog_name) + 1);
    WEIR_TRY_OUT(status, open_database(path, &catalog->database, reterr));
    *ret_catalog = (struct weir_catalog){&operations, catalog};
    return WEIR_OK;
out:
    sqlite_free(catalog);
    return status;
}
