/* Where generated records go, and the list of what became of them (the manifest) that tests compare
 * with. */
#ifndef WEIR_TOOLS_GEN_OUTPUT_H
#define WEIR_TOOLS_GEN_OUTPUT_H

#include "engine/base/memory.h"
#include "tools/gen/record.h"

#include <stdio.h>

/* One line of the manifest. Offset -1: not written. */
struct gen_entry {
    uint64_t index, origin, digest; /* digest: XXH3-64 of the value */
    int64_t offset, timestamp_ms;
    const char *reason;
    int32_t partition;
    uint32_t size;
    bool tombstone, aborted;
    char key[16];
};

struct gen_output {
    const struct gen_options *options;
    uint64_t first, count;
    struct gen_entry *entries; /* `count` of them, or NULL when nobody asked for a manifest */
    FILE *values;              /* every value and a line feed, in order; NULL: not wanted */
    struct gen_text text;      /* of one record, reused */
};

/* Makes record `position` of the run (first + position) in output->text, writes it to `values` and
 * notes it. */
weir_status gen_output_make(struct gen_output *output, uint64_t position,
                            struct gen_record *ret_record,
                            struct weir_error *reterr) WEIR_MUST_CHECK;
weir_status gen_output_manifest(const struct gen_output *output, const char *path,
                                struct weir_error *reterr) WEIR_MUST_CHECK;

struct gen_kafka_options {
    const char *brokers, *topic;
    int partitions_expected;   /* 0: any */
    const char *transactional; /* transactional.id, or NULL */
    uint64_t transaction_size,
        abort_every;          /* every abort_every-th transaction is aborted; 0: none */
    const char *settings[32]; /* librdkafka properties, name=value */
    size_t setting_count;
};

/* Every record delivered, or an error. Entries get partition, offset and time from the delivery
 * reports. */
weir_status gen_kafka_produce(const struct gen_kafka_options *options, struct gen_output *output,
                              struct weir_error *reterr) WEIR_MUST_CHECK;

#endif
