"""An engine in a bare loop, in one process, by its own documented calls: what a lane is held to.

`python -m benchmarks.bare openvino-genai|onnx-genai FOLDER`: loads, warms up, then answers each
line {"prompt": [ids], "n": tokens} with {"times": [ns of each token]}.
"""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable
from typing import Any

Loop = Callable[[list[int], int], list[int]]
clock = time.perf_counter_ns


def openvino_genai(folder: str) -> Loop:
    import numpy as np
    import openvino as ov
    import openvino_genai as genai

    scheduler = genai.SchedulerConfig()
    scheduler.max_num_batched_tokens = 2**63 - 1
    scheduler.enable_prefix_caching = False
    pipeline = genai.LLMPipeline(
        folder, "CPU", scheduler_config=scheduler, INFERENCE_PRECISION_HINT="f32"
    )

    class Stamps(genai.StreamerBase):  # type: ignore[misc]
        def __init__(self) -> None:
            super().__init__()
            self.times: list[int] = []

        def write(self, token: Any) -> Any:
            self.times.append(clock())
            return genai.StreamingStatus.RUNNING

        def end(self) -> None:
            pass

    def loop(prompt: list[int], n: int) -> list[int]:
        ids = np.array([prompt], dtype=np.int64)
        config = genai.GenerationConfig(max_new_tokens=n, ignore_eos=True, do_sample=False)
        stamps = Stamps()
        inputs = genai.TokenizedInputs(ov.Tensor(ids), ov.Tensor(np.ones_like(ids)))
        pipeline.generate(inputs, config, stamps)
        return stamps.times

    return loop


def onnx_genai(folder: str) -> Loop:
    import onnxruntime_genai as og

    config = og.Config(folder)
    config.clear_providers()
    model = og.Model(config)

    def loop(prompt: list[int], n: int) -> list[int]:
        params = og.GeneratorParams(model)
        params.set_search_options(max_length=len(prompt) + n, do_sample=False)
        generator = og.Generator(model, params)
        generator.append_tokens(prompt)
        times = []
        for _ in range(n):
            generator.generate_next_token()
            token = generator.get_next_tokens()[0]
            times.append(clock())
            if generator.is_done() and len(times) < n:
                generator.append_tokens([int(token)])
        return times

    return loop


def main() -> None:
    loop = {"openvino-genai": openvino_genai, "onnx-genai": onnx_genai}[sys.argv[1]](sys.argv[2])
    loop([1, 2, 3, 4], 16)
    print(json.dumps({"ready": True}), flush=True)
    for line in sys.stdin:
        request = json.loads(line)
        print(json.dumps({"times": loop(request["prompt"], request["n"])}), flush=True)


if __name__ == "__main__":
    main()
