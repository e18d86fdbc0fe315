/* Queries over a lake and over files: what `weir query` runs, and models later.
 *
 * A session finds tables by name in the lake's catalog (`silver.device`, `t.snapshots`, FOR VERSION
 * | TIMESTAMP AS OF), and files by path or glob (`FROM 'x.parquet'`). It only reads. */
#ifndef WEIR_SCHEDULER_QUERY_QUERY_H
#define WEIR_SCHEDULER_QUERY_QUERY_H

#include "engine/base/io.h"
#include "engine/sql/lineage.h"
#include "formats/iceberg/catalog.h"

struct weir_query_options {
    struct weir_context *context;
    /* The lake, or operations NULL: only files. Both must outlive the session. */
    const struct weir_catalog *catalog;
    const struct weir_object_store *store;
    const struct weir_object_store
        *files;               /* files on s3:// may lie here too; NULL: only the lake */
    uint64_t memory_limit;    /* bytes; 0 = only the context's */
    const char *spill_folder; /* NULL = no spilling */
    uint64_t spill_limit;     /* 0 = none */
    uint32_t batch_rows;      /* 0 = the default; tests force others */
    enum weir_vector_kind force;
    bool unoptimized; /* tests */
    int64_t now_micros;
    void (*progress)(void *self, double share); /* may be NULL; of any thread, one at a time */
    void *progress_self;
};

struct weir_query_session;
weir_status weir_query_session_new(const struct weir_query_options *options,
                                   struct weir_query_session **ret_session,
                                   struct weir_error *reterr) WEIR_MUST_CHECK;
void weir_query_session_free(struct weir_query_session *session); /* NULL-safe */

/* A name that the caller gives a meaning to: SQL, or a source. Looked at before the lake. */
struct weir_query_name {
    const char *name; /* "silver.device" */
    const char *sql;  /* NULL: source */
    const struct weir_table_source *source;
};
/* Borrowed, for statements from now on, until given anew; count 0: none. */
void weir_query_names_set(struct weir_query_session *session, const struct weir_query_name *names,
                          size_t count);

/* What now() is, for statements from now on. */
void weir_query_now_set(struct weir_query_session *session, int64_t now_micros);

struct weir_query_result {
    /* First the columns, then batches in order; EXPLAIN gives one column of text. */
    weir_status (*begin)(void *self, const struct weir_type *type, struct weir_error *reterr);
    weir_status (*batch)(void *self, const struct weir_batch *batch, struct weir_error *reterr);
    void *self;
};

/* Names that SQL may use: the lake's tables, functions, aggregates; for completion. In the arena.
 */
weir_status weir_query_names(struct weir_query_session *session, struct weir_arena *arena,
                             const char ***ret_names, size_t *ret_count,
                             struct weir_error *reterr) WEIR_MUST_CHECK;

struct weir_query_statistics {
    uint64_t rows;
    uint64_t memory_peak, bytes_spilled;
};

/* Runs one statement. Errors of the SQL are USAGE with "line:column" in front and the line with a
 * caret in the hint's place (ret_excerpt, may be NULL: appended). */
weir_status weir_query_run(struct weir_query_session *session, const char *text,
                           const struct weir_query_result *result,
                           struct weir_query_statistics *ret_statistics,
                           struct weir_buffer *ret_excerpt,
                           struct weir_error *reterr) WEIR_MUST_CHECK;

/* Binds and plans a statement without running it; the arena keeps the plan. */
weir_status weir_query_plan(struct weir_query_session *session, struct weir_arena *arena,
                            const char *text, struct weir_operator **ret_root,
                            struct weir_buffer *ret_excerpt,
                            struct weir_error *reterr) WEIR_MUST_CHECK;
/* Where a statement's columns come from (engine/sql/lineage.h); the arena keeps it, the session the
 * sources. */
weir_status weir_query_lineage(struct weir_query_session *session, struct weir_arena *arena,
                               const char *text, struct weir_lineage *ret_lineage,
                               struct weir_error *reterr) WEIR_MUST_CHECK;
/* Runs a plan of weir_query_plan once. */
weir_status weir_query_execute(struct weir_query_session *session, struct weir_operator *root,
                               const struct weir_query_result *result,
                               struct weir_query_statistics *ret_statistics,
                               struct weir_error *reterr) WEIR_MUST_CHECK;

#endif
