// Kernels that PyTorch lacks or runs slowly on a CPU, for channels-last bfloat16 tensors.
// Compiled and called by fastcpu.py.  Layouts: x, g, y are [N, H, W, C] or flat.
#include <math.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#define LANES 16
typedef float vec __attribute__((vector_size(64), aligned(4)));

static inline float wide(uint16_t b) {
    uint32_t u = (uint32_t)b << 16;
    float f;
    memcpy(&f, &u, 4);
    return f;
}

static inline uint16_t narrow(float f) {  // round to nearest, ties to even
    uint32_t u;
    memcpy(&u, &f, 4);
    return (uint16_t)((u + 0x7fff + ((u >> 16) & 1)) >> 16);
}

// Weight gradient of a 7x7 depthwise convolution with padding 3:
// dw[i][j][c] = sum over n, h, w of x[n][h+i-3][w+j-3][c] * g[n][h][w][c]; dw is [7, 7, C] float32.
// C must be a multiple of 16.  Returns 0, or 1 when out of memory.
int depthwise_weight_gradient(const uint16_t *x, const uint16_t *g, float *dw,
                              int n, int height, int width, int c) {
    const int pw = width + 6, ph = height + 6;
    float *px = malloc(sizeof(float) * LANES * (size_t)ph * pw);
    float *pg = malloc(sizeof(float) * LANES * (size_t)height * width);
    if (!px || !pg) {
        free(px);
        free(pg);
        return 1;
    }
    memset(px, 0, sizeof(float) * LANES * (size_t)ph * pw);
    memset(dw, 0, sizeof(float) * 49 * (size_t)c);
    for (int block = 0; block < c; block += LANES)
        for (int b = 0; b < n; b++) {
            for (int h = 0; h < height; h++)
                for (int w = 0; w < width; w++) {
                    const size_t from = (((size_t)b * height + h) * width + w) * c + block;
                    float *tx = px + ((size_t)(h + 3) * pw + w + 3) * LANES;
                    float *tg = pg + ((size_t)h * width + w) * LANES;
                    for (int k = 0; k < LANES; k++) tx[k] = wide(x[from + k]);
                    for (int k = 0; k < LANES; k++) tg[k] = wide(g[from + k]);
                }
            for (int i = 0; i < 7; i++) {
                vec a0 = {0}, a1 = {0}, a2 = {0}, a3 = {0}, a4 = {0}, a5 = {0}, a6 = {0};
                for (int h = 0; h < height; h++) {
                    const vec *rx = (const vec *)(px + (size_t)(h + i) * pw * LANES);
                    const vec *rg = (const vec *)(pg + (size_t)h * width * LANES);
                    for (int w = 0; w < width; w++) {
                        const vec v = rg[w];
                        a0 += v * rx[w];
                        a1 += v * rx[w + 1];
                        a2 += v * rx[w + 2];
                        a3 += v * rx[w + 3];
                        a4 += v * rx[w + 4];
                        a5 += v * rx[w + 5];
                        a6 += v * rx[w + 6];
                    }
                }
                const vec sums[7] = {a0, a1, a2, a3, a4, a5, a6};
                for (int j = 0; j < 7; j++)
                    for (int k = 0; k < LANES; k++)
                        dw[(i * 7 + j) * (size_t)c + block + k] += sums[j][k];
            }
        }
    free(px);
    free(pg);
    return 0;
}

// Normal distribution function of x (Abramowitz and Stegun 7.1.26, error < 1e-7) and density.
static inline float phi(float x, float *density) {
    const float z = fabsf(x) * 0.70710678f, t = 1.0f / (1.0f + 0.3275911f * z);
    const float e = expf(-z * z);
    const float poly = t * (0.254829592f + t * (-0.284496736f + t * (1.421413741f +
                       t * (-1.453152027f + t * 1.061405429f))));
    const float tail = 0.5f * poly * e;
    *density = 0.39894228f * e;
    return x < 0 ? tail : 1.0f - tail;
}

void gelu(const uint16_t *x, uint16_t *y, long n) {
    for (long i = 0; i < n; i++) {
        float d, v = wide(x[i]);
        y[i] = narrow(v * phi(v, &d));
    }
}

void gelu_gradient(const uint16_t *x, const uint16_t *g, uint16_t *out, long n) {
    for (long i = 0; i < n; i++) {
        float d, v = wide(x[i]);
        const float p = phi(v, &d);
        out[i] = narrow(wide(g[i]) * (p + v * d));
    }
}

// LayerNorm over the last axis of [rows, C]; keeps mean and 1 / deviation for the gradient.
void layer_norm(const uint16_t *x, const float *weight, const float *bias, float eps,
                uint16_t *y, float *mean, float *scale, long rows, int c) {
    for (long r = 0; r < rows; r++) {
        const uint16_t *rx = x + r * c;
        float sum = 0, squares = 0;
        for (int k = 0; k < c; k++) sum += wide(rx[k]);
        const float m = sum / c;
        for (int k = 0; k < c; k++) {
            const float d = wide(rx[k]) - m;
            squares += d * d;
        }
        const float s = 1.0f / sqrtf(squares / c + eps);
        mean[r] = m;
        scale[r] = s;
        for (int k = 0; k < c; k++)
            y[r * c + k] = narrow((wide(rx[k]) - m) * s * weight[k] + bias[k]);
    }
}

void layer_norm_gradient(const uint16_t *x, const uint16_t *g, const float *weight,
                         const float *mean, const float *scale, uint16_t *dx, float *dweight,
                         float *dbias, long rows, int c) {
    for (long r = 0; r < rows; r++) {
        const uint16_t *rx = x + r * c, *rg = g + r * c;
        const float m = mean[r], s = scale[r];
        float a = 0, b = 0;
        for (int k = 0; k < c; k++) {
            const float h = (wide(rx[k]) - m) * s, v = wide(rg[k]);
            dbias[k] += v;
            dweight[k] += v * h;
            a += v * weight[k];
            b += v * weight[k] * h;
        }
        a /= c;
        b /= c;
        for (int k = 0; k < c; k++) {
            const float h = (wide(rx[k]) - m) * s;
            dx[r * c + k] = narrow(s * (wide(rg[k]) * weight[k] - a - h * b));
        }
    }
}
