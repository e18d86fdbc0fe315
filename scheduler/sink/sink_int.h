/* One sink's delivery under way. run.c: from the cursor to the table's head; steps.c: which
 * snapshots; changes.c: the SQL of one step; deliver.c: sending, backing off, dead letters;
 * dead.c,
 * letters.c: dead letters again; cursor.c: what is kept. Private to the room. */
#ifndef WEIR_SCHEDULER_SINK_INT_H
#define WEIR_SCHEDULER_SINK_INT_H

#include "scheduler/sink/sink.h"

/* What a cursor says; the JSON of the object is in sink.h. */
struct cursor {
    char etag[WEIR_ETAG_SIZE]; /* "": not there yet */
    char uuid[64];
    int64_t reached; /* snapshot; 0: nothing sent yet */
    int64_t version; /* of the changes sent last */
    /* a step begun and not ended; to = 0: none */
    struct {
        int64_t to, version, done; /* done: changes settled, in their order */
        int64_t stuck; /* runs that the next one alone held up, while some behind it were taken */
        char definition[33]; /* done counts in its order */
    } step;
    int64_t delivered[3], dead, aged;
    int64_t saved_ms; /* steady; when it was put */
};

/* Changes between two snapshots of a table. */
struct step {
    int64_t from, to; /* from 0: the empty table */
    int64_t version, committed_ms;
    bool nothing; /* `to` lies otherwise only: a compaction */
    bool noted;   /* in the cursor already */
    bool leap; /* `from` is not the parent of `to`: commits in between are gone, or main was set */
};

struct delivery {
    const struct weir_sink_options *options;
    const struct weir_sink_config *config;
    struct weir_lake *lake;
    struct weir_table *table;
    struct weir_query_session *session;
    struct weir_sink sink;
    struct weir_type row; /* what is sent of a row */
    char definition[33];  /* what decides which changes a step has, and their order */
    bool prepared;
    struct cursor cursor;
    struct step step;
    int64_t skip; /* changes of the step settled before this run */

    /* changes to be sent in one call */
    struct weir_arena arena;   /* of these changes */
    struct weir_arena lasting; /* of the run */
    struct weir_sink_change *changes;
    struct weir_sink_result *results;
    int *tries;       /* refusals of each */
    uint32_t *places; /* of each among those that the call began with */
    size_t count, bytes, room;
    size_t begun;  /* count when the call began */
    bool answered; /* it ended in an answer for each, not in silence */
    /* repeats of a key within the step, to tell their ids apart */
    struct weir_buffer last_key;
    int64_t last_repeat;

    int64_t delivered[3], dead, aged, snapshots; /* of this run */
    int64_t over; /* letters that were left because of what came since */

    bool keeps_dead; /* what is sent are dead letters: a refused one lies there already */
    weir_status (*taken)(struct delivery *delivery, const struct weir_sink_change *change,
                         struct weir_error *reterr); /* may be NULL */
};

/* cursor.c. A missing one is as new: uuid "", reached 0. */
weir_status cursor_read(struct weir_lake *lake, const char *sink, struct cursor *ret_cursor,
                        struct weir_error *reterr) WEIR_MUST_CHECK;
/* PRECONDITION: another run has put one since. */
weir_status cursor_save(struct weir_lake *lake, const struct weir_sink_config *config,
                        struct cursor *cursor, struct weir_error *reterr) WEIR_MUST_CHECK;

/* steps.c. In order, in the arena; those of nothing left in. */
weir_status steps_find(const struct weir_table *table, const struct cursor *cursor,
                       bool tells_retention, struct weir_arena *arena, struct step **ret_steps,
                       size_t *ret_count, struct weir_error *reterr) WEIR_MUST_CHECK;

/* changes.c. Every change of delivery->step in order, to deliver_add. */
weir_status changes_send(struct delivery *delivery, struct weir_error *reterr) WEIR_MUST_CHECK;

/* Every row of a snapshot as the sink would send it, in no order. After delivery_ready. */
weir_status changes_look(struct delivery *delivery, int64_t snapshot,
                         weir_status (*take)(void *self, struct weir_bytes key_json,
                                             struct weir_bytes row, struct weir_error *reterr),
                         void *self, struct weir_error *reterr) WEIR_MUST_CHECK;

/* letters.c. *ret_over[i]: what the i-th letter says was undone or changed since, and the sink was
 * told so. After delivery_ready. */
weir_status letters_judge(struct delivery *delivery, const json_t *letters, bool *ret_over,
                          struct weir_error *reterr) WEIR_MUST_CHECK;

/* deliver.c */
struct change {
    enum weir_change_kind kind;
    struct weir_bytes key, key_json, row;
};
weir_status deliver_add(struct delivery *delivery, const struct change *change,
                        struct weir_error *reterr) WEIR_MUST_CHECK;
weir_status deliver_flush(struct delivery *delivery, struct weir_error *reterr) WEIR_MUST_CHECK;
/* Sends delivery->changes until each is taken or refused `tries` times (a dead letter), or patience
 * ends. */
weir_status deliver_settle(struct delivery *delivery, struct weir_error *reterr) WEIR_MUST_CHECK;
weir_status deliver_room(struct delivery *delivery, struct weir_error *reterr) WEIR_MUST_CHECK;
void deliver_dead_name(char *ret_name, size_t size, const char *sink,
                       const struct weir_sink_change *change);

/* run.c: lake, table, cursor, session and receiver; close in any case. *ret_there: false: there is
 * no table yet. */
weir_status delivery_open(struct delivery *delivery, const struct weir_sink_options *options,
                          bool *ret_there, struct weir_error *reterr) WEIR_MUST_CHECK;
void delivery_close(struct delivery *delivery);
/* Holds a snapshot by a tag before the cursor speaks of it. */
weir_status delivery_pin(struct delivery *delivery, int64_t snapshot,
                         struct weir_error *reterr) WEIR_MUST_CHECK;
/* Binds the columns and makes the receiver, without reaching it yet. */
weir_status delivery_ready(struct delivery *delivery, struct weir_error *reterr) WEIR_MUST_CHECK;

/* open.c */
weir_status sink_open(struct weir_context *context, const struct weir_sink_config *config,
                      struct weir_sink *ret_sink, struct weir_error *reterr) WEIR_MUST_CHECK;
const char *sink_kind(const struct weir_sink_config *config);

#endif
