/* Where logs begin and end, asked of the leaders each time. librdkafka 2.0.2 sends ListOffsets with
 * the isolation level of the handle it is called on, so one handle that reads committed tells the
 * last stable offset, and one that reads uncommitted the high watermark; its cached watermarks
 * (rd_kafka_get_watermark_offsets) are never used. */
#include "connectors/kafka/kafka_int.h"

#include <string.h>

#define OFFSETS_CHUNK 1000 /* librdkafka finds each answer's partition by walking the list */

static weir_status list_ask(struct kafka_source *source, rd_kafka_t *client,
                            rd_kafka_topic_partition_list_t *list, struct weir_error *reterr)
{
    struct kafka_patience patience;
    kafka_patience_init(&patience, source, client);
    for (;;) {
        rd_kafka_resp_err_t code = rd_kafka_offsets_for_times(client, list, patience.slice_ms);
        for (int i = 0; i < list->cnt && code == RD_KAFKA_RESP_ERR_NO_ERROR; i++)
            code = list->elems[i].err;
        if (code == RD_KAFKA_RESP_ERR_NO_ERROR) {
            kafka_words_clear(source);
            return WEIR_OK;
        }
        WEIR_TRY(
            kafka_patience_again(&patience, code, reterr, "asking for the offsets of partitions"));
    }
}

static weir_status list_read(const rd_kafka_topic_partition_list_t *list,
                             const struct weir_log_partition *partitions, int64_t *ret_offsets,
                             struct weir_error *reterr)
{
    for (int i = 0; i < list->cnt; i++) {
        const rd_kafka_topic_partition_t *at = &list->elems[i];
        if (at->partition != partitions[i].partition || strcmp(at->topic, partitions[i].topic) != 0)
            return weir_fail(
                reterr, WEIR_INTERNAL, "kafka: offsets of %s %d came back as those of %s %d",
                partitions[i].topic, partitions[i].partition, at->topic, at->partition);
        ret_offsets[i] = at->offset;
    }
    return WEIR_OK;
}

static weir_status chunk_ask(struct kafka_source *source, rd_kafka_t *client,
                             const struct weir_log_partition *partitions, size_t count,
                             int64_t query, int64_t *ret_offsets, struct weir_error *reterr)
{
    rd_kafka_topic_partition_list_t *list = rd_kafka_topic_partition_list_new((int)count);
    for (size_t i = 0; i < count; i++)
        rd_kafka_topic_partition_list_add(list, partitions[i].topic, partitions[i].partition)
            ->offset = query;
    weir_status status = list_ask(source, client, list, reterr);
    if (status == WEIR_OK)
        status = list_read(list, partitions, ret_offsets, reterr);
    rd_kafka_topic_partition_list_destroy(list);
    if (status != WEIR_OK && count == 1)
        weir_error_prefix(reterr, "%s %d", partitions[0].topic, partitions[0].partition);
    return status;
}

weir_status kafka_list_offsets(struct kafka_source *source, bool committed,
                               const struct weir_log_partition *partitions, size_t count,
                               int64_t query, int64_t *ret_offsets, struct weir_error *reterr)
{
    rd_kafka_t *client;
    WEIR_TRY(kafka_query_client(source, committed, &client, reterr));
    for (size_t at = 0; at < count; at += OFFSETS_CHUNK) {
        size_t some = count - at < OFFSETS_CHUNK ? count - at : OFFSETS_CHUNK;
        WEIR_TRY(chunk_ask(source, client, partitions + at, some, query, ret_offsets + at, reterr));
    }
    return WEIR_OK;
}

static weir_status offsets_fill(struct kafka_source *source,
                                const struct weir_log_partition *partitions, size_t count,
                                int64_t *columns, struct weir_error *reterr)
{
    /* In this order, since ends only grow: the stable offset asked for first cannot pass the high
     * watermark. */
    WEIR_TRY(kafka_list_offsets(source, true, partitions, count, RD_KAFKA_OFFSET_BEGINNING, columns,
                                reterr));
    WEIR_TRY(kafka_list_offsets(source, true, partitions, count, RD_KAFKA_OFFSET_END,
                                columns + count, reterr));
    return kafka_list_offsets(source, false, partitions, count, RD_KAFKA_OFFSET_END,
                              columns + 2 * count, reterr);
}

weir_status kafka_offsets(void *self, const struct weir_log_partition *partitions, size_t count,
                          struct weir_log_offsets *ret_offsets, struct weir_error *reterr)
{
    struct kafka_source *source = self;
    int64_t *columns;
    if (count == 0)
        return WEIR_OK;
    WEIR_TRY(weir_alloc_zero(&source->memory, count, 3 * sizeof *columns, &columns, reterr));
    weir_status status = offsets_fill(source, partitions, count, columns, reterr);
    for (size_t i = 0; i < count && status == WEIR_OK; i++)
        ret_offsets[i] = (struct weir_log_offsets){columns[i], columns[count + i],
                                                   columns[2 * count + i]};
    weir_free(columns);
    return status;
}

weir_status kafka_offsets_for_time(void *self, const struct weir_log_partition *partitions,
                                   size_t count, int64_t time_ms, int64_t *ret_offsets,
                                   struct weir_error *reterr)
{
    struct kafka_source *source = self;
    int64_t *columns;
    if (count == 0)
        return WEIR_OK;
    if (time_ms < 0)
        return weir_fail(reterr, WEIR_USAGE, "kafka: a time before 1970 (%lld ms)",
                         (long long)time_ms);
    WEIR_TRY(weir_alloc_zero(&source->memory, count, 2 * sizeof *columns, &columns, reterr));
    weir_status status = kafka_list_offsets(source, true, partitions, count, time_ms, columns,
                                            reterr);
    if (status == WEIR_OK)
        status = kafka_list_offsets(source, true, partitions, count, RD_KAFKA_OFFSET_END,
                                    columns + count, reterr);
    for (size_t i = 0; i < count && status == WEIR_OK; i++) {
        int64_t found = columns[i], stable = columns[count + i];
        ret_offsets[i] = found < 0 || found > stable ? stable : found;
    }
    weir_free(columns);
    return status;
}
