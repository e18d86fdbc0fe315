/* A table under a window: loaded or born, its shape, its truth. Private to the room. */
#ifndef WEIR_SCHEDULER_WINDOW_TABLE_H
#define WEIR_SCHEDULER_WINDOW_TABLE_H

#include "scheduler/window/ingest.h"
#include "scheduler/window/window.h"

struct table_state {
    struct weir_arena arena;
    struct weir_table *table;      /* NULL: not born */
    struct weir_table *quarantine; /* NULL: not loaded or not born */
    struct weir_shape shape;
    json_t *truth; /* NULL when not born */
};

/* Loads the table if it is there; shape and truth then follow. REFUSED: a newer weir.format. */
weir_status table_load(const struct weir_window_options *options, struct table_state *ret_table,
                       struct weir_error *reterr) WEIR_MUST_CHECK;
/* Creates it with this state. */
weir_status table_birth(const struct weir_window_options *options, struct table_state *table,
                        json_t *state, struct weir_error *reterr) WEIR_MUST_CHECK;
/* Shape and truth again, after table->table changed. */
weir_status table_refresh(const struct weir_window_options *options, struct table_state *table,
                          struct weir_error *reterr) WEIR_MUST_CHECK;
weir_status table_reload(const struct weir_window_options *options, struct table_state *table,
                         struct weir_error *reterr) WEIR_MUST_CHECK;
weir_status table_sync_quarantine(const struct weir_window_options *options,
                                  struct table_state *table,
                                  struct weir_error *reterr) WEIR_MUST_CHECK;
void table_done(struct table_state *table);

enum {
    INGEST_AGAIN = 1, /* of records that were refused before */
    INGEST_GROWN = 2, /* by a shape that table_grow has made */
};
/* Ingest of one attempt of this table; flags of the above. leader: as in ingest.h. */
weir_status table_ingest(const struct weir_window_options *options, const struct table_state *table,
                         int64_t attempt, unsigned flags, struct weir_ingest *leader,
                         struct weir_ingest **ret_ingest,
                         struct weir_error *reterr) WEIR_MUST_CHECK;

/* The shape anew, with columns for the fields that the ingest has found; until the next refresh. */
weir_status table_grow(const struct weir_window_options *options, struct table_state *table,
                       struct weir_ingest *ingest, struct weir_error *reterr) WEIR_MUST_CHECK;

/* on_invalid / max_invalid: GATE when too many of `total` records were refused. */
weir_status table_check_share(const struct weir_window_options *options,
                              const struct weir_ingest_result *result,
                              struct weir_error *reterr) WEIR_MUST_CHECK;

/* What every landing of rows shares: files and letters in the receipt, letters united with the
 * base's list. */
struct landing {
    const struct weir_window_options *options;
    struct table_state *table;
    const struct weir_ingest_result *result;
    json_t *receipt;    /* owned */
    json_t *summary;    /* owned */
    json_t *properties; /* owned; NULL: none to set */
    /* {"key": [first, last]} of all of result->letters, or an array of one for each; NULL */
    json_t *letter_ranges;
    const json_t *letters_gone; /* object: path -> anything, files of letters taken out; borrowed */
};
weir_status landing_init(struct landing *landing, const struct weir_window_options *options,
                         struct table_state *table, const struct weir_ingest_result *result,
                         struct weir_error *reterr) WEIR_MUST_CHECK;
void landing_done(struct landing *landing);
/* Base's list of letters united with this landing's, set in state. */
weir_status landing_letters(struct landing *landing, json_t *state, int64_t snapshot_id,
                            struct weir_error *reterr) WEIR_MUST_CHECK;
/* Adds counts to an outcome of weir_windows_run. */
void outcome_add(json_t *outcome, const char *key, int64_t value);
json_t *outcome_new(const char *table);
void outcome_result(json_t *outcome, const struct weir_ingest_result *result, int64_t snapshot_id);

weir_status kafka_windows_run(const struct weir_window_options *options, struct table_state *table,
                              json_t *outcome, struct weir_error *reterr) WEIR_MUST_CHECK;
weir_status kafka_windows_plan(const struct weir_window_options *options, struct table_state *table,
                               json_t *plan, struct weir_error *reterr) WEIR_MUST_CHECK;
weir_status file_windows_run(const struct weir_window_options *options, struct table_state *table,
                             json_t *outcome, struct weir_error *reterr) WEIR_MUST_CHECK;
weir_status file_windows_plan(const struct weir_window_options *options, struct table_state *table,
                              json_t *plan, struct weir_error *reterr) WEIR_MUST_CHECK;

#endif
