"""Sound at the service: every phone's connection ends here, and rooms say who hears whom.

* pure: :mod:`.voices`, :mod:`.mixing`, :mod:`.tones` (hold music and ringback), :mod:`.room` (who hears whom)
* :mod:`.board`: the clock of all sound, 20 ms a tick
* :mod:`.line`: the service's side of one phone's sound, over WebRTC, with :mod:`.outbound` and :mod:`.relay`
* :mod:`.recorder`: WAV files with bounds

Two phones that both speak Opus are relayed packet by packet. Whatever needs samples (music, robots,
recordings, conferences, supervision) is decoded, mixed and encoded, and only there.
"""
