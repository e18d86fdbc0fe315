/* One promotion under way. promote.c: from what is due to the commit; sources.c: the model's
 * sources and their changes; pins.c: tags that hold what is read; compute.c: the statements of each
 * mode; gates.c: checks of a candidate. Private to the room. */
#ifndef WEIR_SCHEDULER_PROMOTE_PROMOTE_INT_H
#define WEIR_SCHEDULER_PROMOTE_PROMOTE_INT_H

#include "scheduler/promote/model_int.h"

struct source {
    const char *name;
    struct weir_table *table;
    const char *key;   /* in weir.sources: the table's uuid, or "files:{pattern}" */
    int64_t from, to;  /* snapshots; from 0: nothing promoted yet */
    const char **pins; /* tags of this consumer when it was loaded */
    size_t pin_count;
    const char *pin;                   /* the tag that holds `to`; NULL: none yet */
    const char *from_files, *to_files; /* of a source of files: digests of their listing */
    bool drives, changed;
    /* rows whose `column` lies before a time have been dropped by retention; NULL: none have */
    struct horizon {
        const char *column, *before; /* the time as text */
        const char *dropped;         /* condition: a row from before it */
        const char *late; /* condition: a row that would change what is closed; NULL: none would */
        const char *key;  /* of the groups, that bounds these rows from below; NULL: not asked */
    } horizon;
    struct weir_difference difference; /* of a changed one */
    struct path_set {
        const char **paths; /* sorted */
        size_t count;
    } added_paths, removed_paths;
    struct weir_table_source at_to, at_from, added, removed; /* operations NULL: not opened */
};

/* What the name of a source stands for in a statement. */
enum variant {
    VARIANT_TO,      /* as it is now */
    VARIANT_FROM,    /* as it was */
    VARIANT_ADDED,   /* rows that came */
    VARIANT_WENT,    /* rows that went */
    VARIANT_TOUCHED, /* rows that came or went */
    VARIANT_LATE,    /* rows that came, too late for what is closed; not among those that came */
    VARIANT_EVER     /* as it is now, and the rows that went */
};

#define PROMOTION_NAMES_MAX (2 * MODEL_SOURCES_MAX + 2 * MODEL_SOURCES_MAX + 32)
#define PROMOTION_KEPT_MAX  24

struct promotion {
    const struct weir_promote_options *options;
    const struct weir_model_config *model;
    struct weir_lake *lake;
    struct weir_arena arena;
    struct weir_query_session *session;
    struct weir_object_store files_store; /* of a source of files on s3:// */
    bool has_files_store;
    struct model_sources reads;
    struct source sources[MODEL_SOURCES_MAX];
    size_t source_count;
    bool first; /* nothing to build on: everything anew */
    const char *why;

    struct weir_table *table;        /* NULL: not born */
    struct weir_table_config config; /* the model's, with the columns the query gives */
    struct weir_type columns;
    uint32_t *keys;          /* numbers of columns */
    const char *column_list; /* "a", "b" */
    const char *model_list;  /* the same of weir.model m, cast to the table's types */
    struct weir_shape shape;
    struct weir_graph *graph;              /* the model and what it reads; NULL: not known */
    const struct weir_graph_table *traced; /* the model in it */
    bool graph_shared;                     /* options->graph's */
    json_t *truth;                         /* owned; NULL: not born */
    int64_t head;

    /* of a UNION ALL, statements run only branches that read what came to this source, or left it;
     * NULL: all of them */
    const struct source *part;

    /* tables of the statements: results kept in memory, and the target */
    struct weir_query_name names[PROMOTION_NAMES_MAX];
    size_t name_count;
    struct weir_table_source kept[PROMOTION_KEPT_MAX];
    size_t kept_count;

    /* what is to be committed */
    struct weir_table_writer *writer;
    struct weir_table_files files;
    const char **removed;
    size_t removed_count;
    int64_t rows_removed;
    uint64_t bytes_read;
    bool replace_all;
    struct path_set rewritten;
    struct aside {
        const struct aside_kind *kind;
        struct weir_table *table; /* {table}__quarantine as it was last seen; NULL: not there */
        int64_t head;
        struct weir_table_config config;
        struct weir_shape shape;
        struct weir_table_writer *writer;
        struct weir_table_files files; /* of rows that come */
        json_t *gone;                  /* object: path -> true, files that go */
        int64_t rows;                  /* set aside now that were not before */
        bool changed;
    } aside, late;
};

/* sources.c. Heads of the sources: nothing of them is read yet. */
weir_status promotion_open(struct promotion *promotion, struct weir_error *reterr) WEIR_MUST_CHECK;
/* The sources at their heads, to be read; once. */
weir_status promotion_read(struct promotion *promotion, struct weir_error *reterr) WEIR_MUST_CHECK;
void promotion_close(struct promotion *promotion);
/* Files of changed sources; fills difference and path sets. */
weir_status promotion_differences(struct promotion *promotion,
                                  struct weir_error *reterr) WEIR_MUST_CHECK;
/* Names for a statement: source `at` as `one`, those before it as `before`, behind as `behind`; at
 * = source_count: all as `before`. Then the kept tables. */
weir_status promotion_names(struct promotion *promotion, size_t at, enum variant one,
                            enum variant before, enum variant behind,
                            struct weir_error *reterr) WEIR_MUST_CHECK;
/* The target's rows, with _file; only: of these files, or NULL. Named `name` from now on. */
weir_status promotion_target(struct promotion *promotion, const char *name,
                             const struct path_set *only,
                             struct weir_error *reterr) WEIR_MUST_CHECK;

/* pins.c. Tags of this consumer that a source has as it was loaded. */
weir_status pins_seen(struct promotion *promotion, struct source *source,
                      struct weir_error *reterr) WEIR_MUST_CHECK;
/* Tags the heads of the sources; *ret_moved: one is not the head any more, plan anew. */
weir_status pins_set(struct promotion *promotion, bool *ret_moved,
                     struct weir_error *reterr) WEIR_MUST_CHECK;
/* After the commit: the tags seen at the start, but for those in use. */
weir_status pins_drop(struct promotion *promotion, struct weir_error *reterr) WEIR_MUST_CHECK;
/* Those of a run whose candidate has been dropped. */
weir_status pins_drop_run(struct promotion *promotion, const char *run,
                          struct weir_error *reterr) WEIR_MUST_CHECK;

/* due.c. Has something changed, and does the rule say now? promotion->why is why, or why not. */
weir_status promotion_due(struct promotion *promotion, bool *ret_due,
                          struct weir_error *reterr) WEIR_MUST_CHECK;
/* What snapshots behind `from` (0: all), up to `to`, brought; added to what is there. */
struct gained {
    int64_t rows;      /* of the files that were added; a rewritten row counts anew */
    int64_t oldest_ms; /* the first change's commit */
    bool any;          /* rows changed at all */
    bool cut;          /* snapshots in between are gone */
};
void due_gained(const struct weir_metadata *metadata, int64_t from, int64_t to,
                struct gained *gained);
int64_t due_promoted_ms(const struct weir_metadata *metadata, int64_t head);
/* ret_why: in words, for people. */
bool due_by_rule(const struct weir_promote_rule *rule, const struct gained *gained, int64_t now_ms,
                 char *ret_why, size_t size);
bool due_by_cron(const struct weir_promote_rule *rule, int64_t promoted_ms, int64_t now_ms,
                 char *ret_why, size_t size);

/* The rows of a table's snapshot, with _file, as `name` from now on; only: of these files, or NULL.
 */
weir_status promotion_rows(struct promotion *promotion, const char *name,
                           const struct weir_table *table, int64_t snapshot_id,
                           const struct path_set *only, struct weir_error *reterr) WEIR_MUST_CHECK;

/* statement.c: runs SQL with the names set last. having: false = filters of groups left out. */
typedef weir_status (*take_batch)(void *self, const struct weir_batch *batch,
                                  struct weir_error *reterr);
weir_status statement_run(struct promotion *promotion, const char *text, bool having,
                          take_batch take, void *self, struct weir_error *reterr) WEIR_MUST_CHECK;
/* Rows kept under `name` (added to those there); *ret_rows may be NULL. */
weir_status statement_keep(struct promotion *promotion, const char *name, const char *text,
                           bool having, uint64_t *ret_rows,
                           struct weir_error *reterr) WEIR_MUST_CHECK;
weir_status statement_write(struct promotion *promotion, const char *text,
                            struct weir_error *reterr) WEIR_MUST_CHECK;
weir_status statement_write_to(struct promotion *promotion, const char *text,
                               struct weir_table_writer *writer,
                               struct weir_error *reterr) WEIR_MUST_CHECK;
/* One column of texts, sorted. */
weir_status statement_texts(struct promotion *promotion, const char *text, struct path_set *ret,
                            struct weir_error *reterr) WEIR_MUST_CHECK;

/* compute.c: files to add and remove. *ret_nothing: the table would stay as it is. */
weir_status promotion_compute(struct promotion *promotion, bool *ret_nothing,
                              struct weir_error *reterr) WEIR_MUST_CHECK;

/* closed.c. How far retention has dropped rows of a source, by its own word and by what the last
 * promotion counted with. */
weir_status closed_read(struct promotion *promotion, struct source *source,
                        struct weir_error *reterr) WEIR_MUST_CHECK;
/* Once the model is bound: which rows are late, which groups closed. DECISION: it cannot be told
 * from the SQL which groups would need rows that are gone. */
weir_status closed_bind(struct promotion *promotion, struct weir_error *reterr) WEIR_MUST_CHECK;
/* A condition that the row `alias` is of no closed group; "true". */
weir_status closed_open(struct promotion *promotion, const char *alias, char **ret_condition,
                        struct weir_error *reterr) WEIR_MUST_CHECK;
/* The same of a row that was set aside, whose key is JSON. */
weir_status closed_open_key(struct promotion *promotion, const char *alias, char **ret_condition,
                            struct weir_error *reterr) WEIR_MUST_CHECK;
/* A table made anew: closed groups as they are, to be united with the model's rows; NULL: none.
 * DECISION: rows would be lost that cannot be told apart. */
weir_status closed_kept(struct promotion *promotion, char **ret_text,
                        struct weir_error *reterr) WEIR_MUST_CHECK;
/* Late rows of the changed sources, to {table}__late. */
weir_status closed_late(struct promotion *promotion, struct weir_error *reterr) WEIR_MUST_CHECK;
/* What a promotion counted with, for weir.sources; NULL: nothing. New reference. */
json_t *closed_json(const struct source *source);

/* aside.c: rows that are kept beside the table: set aside by checks (promotion->aside), or late
 * (promotion->late). Once, before anything else. */
void aside_init(struct promotion *promotion);
/* SQL for those of `rows` (the table's columns) that stay, and for those that do not: checks, key,
 * record. */
weir_status aside_good(struct promotion *promotion, const char *rows, char **ret_text,
                       struct weir_error *reterr) WEIR_MUST_CHECK;
weir_status aside_bad(struct promotion *promotion, const char *rows, char **ret_text,
                      struct weir_error *reterr) WEIR_MUST_CHECK;
/* Rows are set aside, or were. */
bool aside_concerns(const struct promotion *promotion);
/* Makes {table}__quarantine and {table}__late what the table's head says; before rows are computed,
 * and after the commit. */
weir_status aside_sync(struct promotion *promotion, struct weir_error *reterr) WEIR_MUST_CHECK;
/* Rows of aside_bad that come; all that were there go; those of weir.keys (everything: all) are to
 * be what `rows` gives. Then the end of it. */
weir_status aside_write(struct promotion *promotion, struct aside *aside, const char *text,
                        struct weir_error *reterr) WEIR_MUST_CHECK;
weir_status aside_replace(struct promotion *promotion, struct weir_error *reterr) WEIR_MUST_CHECK;
/* After aside_replace: but those of closed groups stay. */
weir_status aside_keep(struct promotion *promotion, struct weir_error *reterr) WEIR_MUST_CHECK;
weir_status aside_change(struct promotion *promotion, const char *rows, bool everything,
                         struct weir_error *reterr) WEIR_MUST_CHECK;
weir_status aside_finish(struct promotion *promotion, struct weir_error *reterr) WEIR_MUST_CHECK;
/* For the commit: the list in the table's state; files of the receipt. */
weir_status aside_overlay(const struct promotion *promotion, json_t *state, int64_t snapshot_id,
                          struct weir_error *reterr) WEIR_MUST_CHECK;
json_t *aside_receipt(const struct aside *aside);

/* For whatif.c. Keys that the changed sources touch, as weir.keys, unless only everything will do;
 * a condition that a row `alias` has such a key; SQL for what the table must hold of the rows for
 * which a condition over `m` holds. */
weir_status compute_keys(struct promotion *promotion, bool *ret_everything,
                         struct weir_error *reterr) WEIR_MUST_CHECK;
weir_status compute_touched(struct promotion *promotion, const char *alias, char **ret_condition,
                            struct weir_error *reterr) WEIR_MUST_CHECK;
weir_status compute_rows(struct promotion *promotion, const char *condition, char **ret_text,
                         struct weir_error *reterr) WEIR_MUST_CHECK;

/* promote.c, for whatif.c: the table and its truth, if it is there; the query bound over the
 * sources, the table's columns and shape. */
weir_status promotion_load(struct promotion *promotion, struct weir_error *reterr) WEIR_MUST_CHECK;
weir_status promotion_bind(struct promotion *promotion, struct weir_error *reterr) WEIR_MUST_CHECK;
const char *promotion_mode(enum weir_model_mode mode);

/* gates.c: over the snapshot; appends to the outcome's "gates". GATE: one with on_fail: fail. */
weir_status promotion_gates(struct promotion *promotion, int64_t snapshot_id, json_t *outcome,
                            struct weir_error *reterr) WEIR_MUST_CHECK;

/* samples.c: classes of the columns by lineage, into graph, traced and the config's bounds. That
 * the SQL does not bind over what is declared is no error: then nothing is known, and nothing
 * shown. */
weir_status promotion_classes(struct promotion *promotion,
                              struct weir_error *reterr) WEIR_MUST_CHECK;
/* A few of the rows that a gate's query gives, as objects appended to the array; values
 * that may name a person are "***". The candidate stands under the table's name. */
#define GATE_SAMPLE_ROWS 5
weir_status promotion_sample(struct promotion *promotion, const char *bad_rows, json_t *ret_rows,
                             struct weir_error *reterr) WEIR_MUST_CHECK;

#endif
