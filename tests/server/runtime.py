"""A model's ONNX file in MLServer, one window after another: the file may take only one at a time."""

import numpy as np
import onnxruntime
from mlserver import MLModel
from mlserver.codecs import NumpyCodec
from mlserver.types import InferenceRequest, InferenceResponse


class OnnxModel(MLModel):
    async def load(self) -> bool:
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = 1
        file = self._settings.parameters.uri
        self._session = onnxruntime.InferenceSession(file, options, providers=["CPUExecutionProvider"])
        return True

    async def predict(self, payload: InferenceRequest) -> InferenceResponse:
        windows = NumpyCodec.decode_input(payload.inputs[0]).astype(np.float32)
        name = self._session.get_inputs()[0].name
        logits = [self._session.run(None, {name: window[None]})[0] for window in windows]
        output = NumpyCodec.encode_output("logits", np.concatenate(logits))
        return InferenceResponse(model_name=self.name, outputs=[output])
