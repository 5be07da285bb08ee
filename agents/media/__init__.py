"""Sound: sources, sinks and WebRTC sessions behind one small interface (see :mod:`.base`).

Importing this package, or its ``base``, ``specs``, ``files`` and ``analysis``, costs nothing: aiortc (63 MB),
PyAV and PortAudio are loaded when the first session or device is opened.
"""
