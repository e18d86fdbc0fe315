/* What has been accepted and is not in Kafka yet: an SQLite file (WAL, synchronous=FULL), one
 * process at a time.
 *
 * Records have numbers that only grow and are never given twice, also after they are gone; a
 * source's records are read in their order. A group of puts is one transaction and one sync, so
 * that many requests share the wait. What a power cut tears is left out by SQLite's checksums: a
 * put that was answered is whole, one that was not is not there. Thread-safe. */
#ifndef WEIR_CONNECTORS_SPOOL_SPOOL_H
#define WEIR_CONNECTORS_SPOOL_SPOOL_H

#include "engine/base/memory.h"

struct weir_spool;

struct weir_spool_options {
    const char *path;
    uint64_t limit;   /* bytes of records that wait */
    bool drop_oldest; /* when full: the oldest go, and are counted; else puts are FULL */
    int64_t repeat_window_ms;
    struct weir_account *account;
};

struct weir_spool_entry {
    struct weir_bytes key, headers, value; /* headers: "name\0value\0" pairs */
};

enum weir_spool_outcome {
    WEIR_SPOOL_TAKEN,
    WEIR_SPOOL_REPEATED, /* the same request was taken before: `answer` is what was said then */
    WEIR_SPOOL_CONFLICT, /* its key was used for another body */
    WEIR_SPOOL_IS_FULL,
};
struct weir_spool_put {
    const char *source;
    const struct weir_spool_entry *entries;
    size_t count;
    const char *repeat_key, *body_digest; /* hex, or NULL */
    struct weir_buffer *answer;           /* kept with the key; of REPEATED: what was kept */
    enum weir_spool_outcome outcome;      /* result */
};

/* UNAVAILABLE: another process has it. CORRUPT: it is damaged, or no spool. */
weir_status weir_spool_open(const struct weir_spool_options *options, struct weir_spool **ret_spool,
                            struct weir_error *reterr) WEIR_MUST_CHECK;
void weir_spool_close(struct weir_spool *spool);
/* Made with the file; names what this spool has sent. */
const char *weir_spool_identity(const struct weir_spool *spool);

/* All or nothing on disk when this returns OK; each put says what became of it. */
weir_status weir_spool_put(struct weir_spool *spool, struct weir_spool_put **puts, size_t count,
                           int64_t now_ms, struct weir_error *reterr) WEIR_MUST_CHECK;

struct weir_spool_record {
    int64_t number;
    struct weir_spool_entry entry;
};
/* Oldest records of a source, at most so many and about so many bytes; they live in the arena, and
 * are not dropped until `weir_spool_done` or another peek of that source. */
weir_status weir_spool_peek(struct weir_spool *spool, const char *source, size_t records_max,
                            size_t bytes_max, struct weir_arena *arena,
                            struct weir_spool_record **ret_records, size_t *ret_count,
                            struct weir_error *reterr) WEIR_MUST_CHECK;
/* Kafka has all up to this number. May be forgotten in a crash: Kafka is asked again then. */
weir_status weir_spool_done(struct weir_spool *spool, const char *source, int64_t number,
                            int64_t *ret_records, struct weir_error *reterr) WEIR_MUST_CHECK;
/* The highest number that `weir_spool_done` was told; 0 = none. */
weir_status weir_spool_reached(struct weir_spool *spool, const char *source, int64_t *ret_number,
                               struct weir_error *reterr) WEIR_MUST_CHECK;
/* Out of the way, kept in table `dead`: the broker will never take it. */
weir_status weir_spool_bury(struct weir_spool *spool, int64_t number, const char *reason,
                            struct weir_error *reterr) WEIR_MUST_CHECK;

struct weir_spool_counts {
    int64_t records, bytes; /* that wait */
    int64_t dropped, dead;  /* since the spool was made */
};
void weir_spool_count(struct weir_spool *spool, struct weir_spool_counts *ret_counts);
/* Waiting records of sources that are not among these; *ret_name one of them. */
weir_status weir_spool_strangers(struct weir_spool *spool, const char *const *sources, size_t count,
                                 int64_t *ret_records, char ret_name[256],
                                 struct weir_error *reterr) WEIR_MUST_CHECK;

/* Lower-case hexadecimal SHA-256. */
void weir_spool_digest(const void *data, size_t size, char ret_hex[65]);

#endif
