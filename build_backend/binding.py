"""The C side of ``softphone.opus``: what cffi is told to bind, and the few helpers it needs."""

from typing import Final

from cffi import FFI

__all__ = ["MODULE_NAME", "write_c_source"]

MODULE_NAME: Final = "softphone.opus._opus"

DECLARATIONS: Final = """
typedef struct OpusEncoder OpusEncoder;
typedef struct OpusDecoder OpusDecoder;
typedef struct OpusDREDDecoder OpusDREDDecoder;
typedef struct OpusDRED OpusDRED;

const char *opus_get_version_string(void);

OpusEncoder *opus_encoder_create(int32_t Fs, int channels, int application, int *error);
void opus_encoder_destroy(OpusEncoder *st);
int32_t opus_encode(OpusEncoder *st, const int16_t *pcm, int frame_size, unsigned char *data,
                    int32_t max_bytes);
int32_t opus_encode_float(OpusEncoder *st, const float *pcm, int frame_size, unsigned char *data,
                          int32_t max_bytes);
int softphone_encoder_set(OpusEncoder *st, int request, int32_t value);
int softphone_encoder_get(OpusEncoder *st, int request, int32_t *value);
int softphone_encoder_reset(OpusEncoder *st);

OpusDecoder *opus_decoder_create(int32_t Fs, int channels, int *error);
void opus_decoder_destroy(OpusDecoder *st);
int opus_decoder_get_size(int channels);
int softphone_decoder_set(OpusDecoder *st, int request, int32_t value);
int softphone_decoder_get(OpusDecoder *st, int request, int32_t *value);
int softphone_decoder_reset(OpusDecoder *st);
int softphone_decode(OpusDecoder *st, const unsigned char *data, int32_t len, float *pcm, int frame_size,
                     int decode_fec, int channels, float *clip_memory);
int softphone_dred_decode(OpusDecoder *st, const OpusDRED *dred, int32_t offset, float *pcm, int frame_size,
                          int channels, float *clip_memory);

OpusDREDDecoder *opus_dred_decoder_create(int *error);
void opus_dred_decoder_destroy(OpusDREDDecoder *dec);
OpusDRED *opus_dred_alloc(int *error);
void opus_dred_free(OpusDRED *dec);
int opus_dred_parse(OpusDREDDecoder *dred_dec, OpusDRED *dred, const unsigned char *data, int32_t len,
                    int32_t max_dred_samples, int32_t sampling_rate, int *dred_end, int defer_processing);
int opus_dred_process(OpusDREDDecoder *dred_dec, const OpusDRED *src, OpusDRED *dst);

int opus_packet_get_bandwidth(const unsigned char *data);
int opus_packet_get_samples_per_frame(const unsigned char *data, int32_t Fs);
int opus_packet_get_nb_channels(const unsigned char *data);
int opus_packet_get_nb_frames(const unsigned char packet[], int32_t len);
int opus_packet_get_nb_samples(const unsigned char packet[], int32_t len, int32_t Fs);
int opus_packet_has_lbrr(const unsigned char packet[], int32_t len);
int softphone_packet_check(const unsigned char *data, int32_t len);
"""

# Variadic control functions are wrapped so that the compiler sees their true argument types.
SOURCE: Final = """
#include <opus.h>

static int softphone_encoder_set(OpusEncoder *st, int request, int32_t value)
{
    return opus_encoder_ctl(st, request, (opus_int32)value);
}

static int softphone_encoder_get(OpusEncoder *st, int request, int32_t *value)
{
    return opus_encoder_ctl(st, request, (opus_int32 *)value);
}

static int softphone_encoder_reset(OpusEncoder *st)
{
    return opus_encoder_ctl(st, OPUS_RESET_STATE);
}

static int softphone_decoder_set(OpusDecoder *st, int request, int32_t value)
{
    return opus_decoder_ctl(st, request, (opus_int32)value);
}

static int softphone_decoder_get(OpusDecoder *st, int request, int32_t *value)
{
    return opus_decoder_ctl(st, request, (opus_int32 *)value);
}

static int softphone_decoder_reset(OpusDecoder *st)
{
    return opus_decoder_ctl(st, OPUS_RESET_STATE);
}

/* Whatever a hostile packet makes of the signal, what leaves here is finite and within [-1, 1]. */
static void softphone_limit(float *pcm, int frame_size, int channels, float *clip_memory)
{
    int i, n = frame_size * channels;
    for (i = 0; i < n; i++)
        if (!(pcm[i] >= -8.f && pcm[i] <= 8.f))
            pcm[i] = pcm[i] > 8.f ? 8.f : pcm[i] < -8.f ? -8.f : 0.f;
    opus_pcm_soft_clip(pcm, frame_size, channels, clip_memory);
    for (i = 0; i < n; i++)
        if (!(pcm[i] >= -1.f && pcm[i] <= 1.f))
            pcm[i] = pcm[i] > 1.f ? 1.f : pcm[i] < -1.f ? -1.f : 0.f;
}

static int softphone_decode(OpusDecoder *st, const unsigned char *data, int32_t len, float *pcm,
                            int frame_size, int decode_fec, int channels, float *clip_memory)
{
    int samples = opus_decode_float(st, data, len, pcm, frame_size, decode_fec);
    if (samples > 0)
        softphone_limit(pcm, samples, channels, clip_memory);
    return samples;
}

static int softphone_dred_decode(OpusDecoder *st, const OpusDRED *dred, int32_t offset, float *pcm,
                                 int frame_size, int channels, float *clip_memory)
{
    int samples = opus_decoder_dred_decode_float(st, dred, offset, pcm, frame_size);
    if (samples > 0)
        softphone_limit(pcm, samples, channels, clip_memory);
    return samples;
}

/* The frames' lengths must add up: opus_packet_get_nb_samples reads only the first two bytes. */
static int softphone_packet_check(const unsigned char *data, int32_t len)
{
    const unsigned char *frames[48];
    opus_int16 sizes[48];
    return opus_packet_parse(data, len, NULL, frames, sizes, NULL);
}
"""


def write_c_source(path: str) -> None:
    """Write the C source of the extension module `MODULE_NAME` to ``path``.

    It uses only the limited API of Python, so that one wheel serves every later version.
    """
    ffi = FFI()
    ffi.cdef(DECLARATIONS)
    ffi.set_source(MODULE_NAME, SOURCE, py_limited_api=True)
    ffi.emit_c_code(path)
