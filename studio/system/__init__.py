"""The machine the studio runs on: device, memory, storage, versions, licences."""
